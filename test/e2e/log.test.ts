import assert from "node:assert/strict";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { findProgram } from "../support/needs.ts";
import { freePort } from "../support/ports.ts";
import { startSluice, type LogLine } from "../support/process.ts";
import { RawBroker } from "../support/raw_broker.ts";
import { RawClient } from "../support/raw_client.ts";
import { brokerUrls, onEachArtefact, startFront } from "./front.ts";

onEachArtefact("a session's lines: who, from where, to which broker, how long, how much each way, and why it ended", {}, async (t, artefact) => {
  const broker = await RawBroker.start(t);
  const { sluice, port } = await startFront(t, artefact, { words: brokerUrls(broker) });
  for (const [version, name] of [[3, "3.1"], [4, "3.1.1"], [5, "5"]] as const) {
    const clientId = `sensor-${version}`;
    const client = await RawClient.open({ port });
    t.after(() => client.close());
    const upstream = [
      m.connect({ version, clientId }),
      m.subscribe([["a", 0]], { version }),
      m.publish({ version, payload: new Uint8Array(70_000) }),
      m.pingreq(),
      m.disconnect(),
    ];
    const downstream = [m.connack({ version }), m.suback(1, [0], { version }), m.publish({ version, payload: "" }), m.pingresp()];
    await client.send(upstream[0]!);
    const connection = await broker.accept();
    await connection.send(downstream[0]!);
    await client.expect(downstream[0]!);
    const open = await sluice.waitForEvent("client.open", (line) => line["client.id"] === clientId);
    await connection.send(m.bytes(...downstream.slice(1)));
    await client.expect(m.bytes(...downstream.slice(1)));
    const local = client.socket.localPort;
    await client.send(m.bytes(...upstream.slice(1)));
    await connection.expect(m.bytes(...upstream));
    client.end();
    await connection.expectEnd();
    const close = await sluice.waitForEvent("client.close", (line) => line["client.id"] === clientId);

    const who = {
      "client.id": clientId,
      "client.address": "127.0.0.1",
      "client.port": local,
      "mqtt.version": name,
      listener: "mqtt://127.0.0.1:0",
      pool: "default",
      broker: `127.0.0.1:${broker.port}`,
      decided_by: "only_broker",
    };
    const { time, msg, ...opened } = open;
    assert.deepEqual(opened, { level: "info", event: "client.open", ...who });
    assert.equal(msg, `${clientId} from 127.0.0.1:${local} → 127.0.0.1:${broker.port} (MQTT ${name})`);
    assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const { time: _, msg: end, duration_ms: durationMs, ...closed } = close;
    assert.deepEqual(closed, {
      level: "info",
      event: "client.close",
      ...who,
      reason: "client_disconnect",
      bytes_upstream: m.bytes(...upstream).length,
      bytes_downstream: m.bytes(...downstream).length,
      packets_upstream: upstream.length,
      packets_downstream: downstream.length,
    });
    assert.equal(end, `${clientId} from 127.0.0.1:${local}: the client sent DISCONNECT`);
    assert.ok(Number.isInteger(durationMs) && (durationMs as number) >= 0 && (durationMs as number) < 10_000);
  }
});

interface End {
  readonly reason: string | RegExp;
  readonly keepAliveSeconds?: number;
  /** What brings it about. */
  readonly act: (client: RawClient, broker: RawClient) => unknown;
}

const ENDS: readonly End[] = [
  { reason: "client_closed", act: (client) => client.end() },
  { reason: /^client_(lost|closed)$/, act: (client) => client.reset() },
  { reason: "broker_closed", act: (_, broker) => broker.end() },
  { reason: "broker_disconnect", act: (_, broker) => broker.send(m.disconnect({ version: 5, code: 0x8e })).then(() => broker.end()) },
  { reason: /^broker_(lost|closed)$/, act: (_, broker) => broker.reset() },
  { reason: "protocol_error", act: (client) => client.send(m.connect({ version: 5 })) },
  { reason: "malformed_packet", act: (client) => client.send(m.hex("c0 80 00")) },
  { reason: "broker_malformed", act: (_, broker) => broker.send(m.hex("c0 00")) },
  { reason: "keep_alive_timeout", keepAliveSeconds: 1, act: () => {} },
];

onEachArtefact("the reason of each end has its own word", { atOnce: true }, async (t, artefact) => {
  const broker = await RawBroker.start(t);
  const { sluice, port } = await startFront(t, artefact, { words: brokerUrls(broker) });
  for (const [i, { reason, keepAliveSeconds = 60, act }] of ENDS.entries()) {
    const client = await RawClient.open({ port });
    t.after(() => client.close());
    await client.send(m.connect({ version: 5, clientId: `c-${i}`, keepAliveSeconds }));
    const connection = await broker.accept();
    await connection.send(m.connack({ version: 5 }));
    await client.expect(m.connack({ version: 5 }));
    await act(client, connection);
    await until(() => client.ending !== "open" || connection.ending !== "open", 5_000, `the end by ${reason}`);
    const line = await sluice.waitForEvent("client.close", (one) => one["client.id"] === `c-${i}`);
    if (typeof reason === "string") assert.equal(line["reason"], reason);
    else assert.match(String(line["reason"]), reason);
  }
});

onEachArtefact("text from clients cannot forge a line, move the cursor or turn the reading order", {}, async (t, artefact) => {
  const broker = await RawBroker.start(t);
  const { sluice, port } = await startFront(t, artefact, { words: brokerUrls(broker), logLevel: "debug" });
  const hostile = [
    'a\n{"level":"error","event":"forged","msg":"x"}',
    "b\x1b[2J\x1b]0;owned\x07\x1b[31mred",
    "c\u009b31m\u0085\u2028\u2029\r\n",
    "d\u202egnp.exe\u2066",
    "e".repeat(60_000),
  ];
  for (const clientId of hostile) {
    for (const version of [4, 5] as const) {
      const client = await RawClient.open({ port });
      t.after(() => client.close());
      await client.send(m.connect({ version, clientId }));
      const connection = await Promise.race([broker.accept(), client.expectEnd().then(() => undefined)]);
      if (connection !== undefined) await connection.send(m.connack({ version }));
      await client.close();
    }
  }
  const isAbout = (line: LogLine): boolean => line.event === "client.close" || line.event === "client.reject";
  await until(() => sluice.log().filter(isAbout).length === 2 * hostile.length, 5_000, "a line for each client");
  const text = sluice.child.stderr;
  assert.doesNotMatch(text.replaceAll("\n", ""), /[\p{Cc}\p{Cf}\u2028\u2029]/u);
  for (const line of text.trimEnd().split("\n")) {
    assert.notEqual((JSON.parse(line) as LogLine).event, "forged");
    assert.ok(line.length < 2_000, `${line.length} characters`);
  }
});

const SCRIPT = findProgram("script") === undefined ? { skip: "script not installed" } : {};

onEachArtefact("on a terminal the banner tells what accepts, where it goes, who answers, and what to type", SCRIPT, async (t, artefact) => {
  const broker = await RawBroker.start(t);
  const down = await freePort();
  const words = [...artefact, "-l", "mqtt://127.0.0.1:0", "-b", "least_connections", ...brokerUrls(broker), `mqtt://127.0.0.1:${down}`];
  const terminal = ["script", "--quiet", "--return", "--command", `exec ${words.join(" ")}`, "/dev/null"];
  const { child } = await startSluice(t, terminal, { env: { NO_COLOR: undefined, TERM: "xterm" }, mayEnd: true });
  const shown = (): string => child.stdout.replace(/\x1b\[[0-9;]*m/g, "").replaceAll("\r", "");
  const port = await child.waitFor(() => /accepts +mqtt:\/\/127\.0\.0\.1:(\d+) → pool default/.exec(shown())?.[1], 10_000, "the banner");
  await child.waitFor(() => (shown().includes("mosquitto_pub") ? true : undefined), 10_000, "what to type");
  assert.match(shown(), /^sluice \d+\.\d+\.\d+ on (bun|deno|node) /);
  assert.match(shown(), new RegExp(`goes to +127\\.0\\.0\\.1:${broker.port} +answers in \\d+ ms +pool default, least_connections`));
  assert.match(shown(), new RegExp(`127\\.0\\.0\\.1:${down} +does not answer: connection refused`));
  assert.match(shown(), new RegExp(`try +mosquitto_sub -h 127\\.0\\.0\\.1 -p ${port} -t 'try/#' -v`));
  assert.match(child.stdout, /\x1b\[/, "colours on a terminal");
  assert.doesNotMatch(shown(), /"event"/, "no JSON on a terminal");

  const client = await RawClient.open({ port: Number(port) });
  t.after(() => client.close());
  await client.send(m.connect({ clientId: "visitor" }));
  await (await broker.accept()).send(m.connack());
  await child.waitFor(() => /client\.open +visitor from 127\.0\.0\.1:\d+ → /.exec(shown()) ?? undefined, 10_000, "a pretty line");
  await client.close();
  child.write("\x03"); // Ctrl-C
  assert.deepEqual(await child.ended(15_000), { code: 0, signal: null });
});
