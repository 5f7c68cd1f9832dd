import assert from "node:assert/strict";
import { createServer, type AddressInfo } from "node:net";
import { resolve } from "node:path";
import * as m from "../support/mqtt_bytes.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import { freePort } from "../support/ports.ts";
import { runToEnd, startSluice, type TestScope } from "../support/process.ts";
import { RawBroker } from "../support/raw_broker.ts";
import { RawClient } from "../support/raw_client.ts";
import { brokerUrls, onEachArtefact, startFront, writeTemporary } from "./front.ts";
import { brokerOf, names } from "./sessions.ts";

const fixture = (name: string): string => resolve("test/fixtures/tls", name);

interface Mistake {
  readonly what: string;
  readonly words: readonly string[];
  /** Written into the directory in which it starts. */
  readonly files?: Readonly<Record<string, string>>;
  readonly code: 64 | 66 | 78;
  /** Standard error, from its beginning: the place, what is wrong, and what to do. */
  readonly says: RegExp;
}

const TLS_LISTENER = ["-l", "mqtts://127.0.0.1:0"];

const MISTAKES: readonly Mistake[] = [
  { what: "no broker", words: [], code: 64, says: /^error: command line: no broker .*\n.*sluice mqtt:\/\/.*sluice demo/ },
  { what: "an unknown flag", words: ["--liste", "mqtt://:1", "b"], code: 64, says: /^error: command line: unknown option "--liste"\n.*--listen/ },
  { what: "an unknown command", words: ["chek"], code: 64, says: /^error: command line: unknown command "chek"\n.*sluice check/ },
  { what: "a configuration where a broker belongs", words: ["sluice.toml"], code: 64, says: /^error: command line: cannot use "sluice\.toml" as a broker[^]*sluice --config sluice\.toml/ },
  { what: "client certificates with passthrough", words: [...TLS_LISTENER, "--tls", "passthrough", "--client-ca", "no.pem", "b"], code: 64, says: /^error: --client-ca: .*passed through/ },
  { what: "a list of tables for a table", words: ["-c", "a.toml", "b"], files: { "a.toml": "[[limits]]\nconnections_max = 3\n" }, code: 78, says: /^error: .*a\.toml:1:1: .*a list as limits[^]*\[limits\]/ },
  { what: "a flag without its value", words: ["b", "--to"], code: 64, says: /^error: --to: needs a value/ },
  { what: "a flag twice", words: ["b", "-b", "random", "-b", "random"], code: 64, says: /^error: -b: given twice/ },
  { what: "a balance that is not there", words: ["b", "-b", "client-id"], code: 64, says: /^error: -b: .*client-id[^]*client_id/ },
  { what: "a URL of another kind", words: ["http://b"], code: 64, says: /^error: command line: .*http[^]*mqtt/ },
  { what: "a port that is none", words: ["-l", "mqtt://:99999", "b"], code: 64, says: /^error: -l: .*99999/ },
  { what: "a certificate without its listener", words: ["b", "--cert", "c.pem", "--key", "k.pem"], code: 64, says: /^error: --cert: .*mqtts:\/\/, wss:\/\/ or any:\/\/ listener\n.*--listen mqtts/ },
  { what: "a listener inside of another", words: ["-l", "mqtt://127.0.0.1:21800", "-l", "mqtt://:21800", "b"], code: 64, says: /^error: -l: addresses ":21800" and "127\.0\.0\.1:21800" cannot be had together/ },
  { what: "help on a command that is none", words: ["help", "foo"], code: 64, says: /^error: command line: no help on "foo"/ },
  { what: "a TLS listener without its certificate", words: [...TLS_LISTENER, "b"], code: 64, says: /^error: -l: [^]*--?cert/ },
  { what: "a flag of another command", words: ["b", "--for", "3s"], code: 64, says: /^error: --for: .*not an option of "sluice"\n.*sluice demo/ },
  { what: "a configuration that is not there", words: ["-c", "nowhere.toml"], code: 66, says: /^error: .*nowhere\.toml.*no such file/ },
  { what: "a certificate file that is not there", words: [...TLS_LISTENER, "--cert", "no.pem", "--key", fixture("server.key"), "b"], code: 66, says: /^error: --cert: cannot read ".*no\.pem".*no such file/ },
  { what: "an authority that is not there", words: ["--ca", "no.pem", "mqtts://b"], code: 66, says: /^error: --ca: cannot read ".*no\.pem"/ },
  { what: "a key that does not fit", words: [...TLS_LISTENER, "--cert", fixture("server.pem"), "--key", fixture("other.key"), "b"], code: 78, says: /^error: --key: the key .*other\.key" does not fit the certificate .*server\.pem"\n/ },
  { what: "a key where a certificate belongs", words: [...TLS_LISTENER, "--cert", fixture("server.key"), "--key", fixture("server.key"), "b"], code: 78, says: /^error: --cert: .*found a private key/ },
  { what: "TOML that is none", words: ["-c", "a.toml"], files: { "a.toml": "[log]\nlevel = info\n" }, code: 78, says: /^error: .*a\.toml:2:\d+: / },
  { what: "an unknown key", words: ["-c", "a.toml", "b"], files: { "a.toml": "[limits]\nconnect_time = \"1s\"\n" }, code: 78, says: /^error: .*a\.toml:2:1: .*connect_time[^]*connect_timeout/ },
  { what: "a duration without its unit", words: ["-c", "a.toml", "b"], files: { "a.toml": "[limits]\ndial_timeout = 5\n" }, code: 78, says: /^error: .*a\.toml:2:\d+: .*5[^]*"?10s/ },
  { what: "a pool that is not there", words: ["-c", "a.toml"], files: { "a.toml": '[[listeners]]\nlisten = "mqtt://127.0.0.1:0"\npool = "eest"\n[pools.east]\nbrokers = ["b"]\n[pools.west]\nbrokers = ["b"]\n' }, code: 78, says: /^error: .*a\.toml:3:\d+: .*eest[^]*east/ },
];

for (const { what, words, files = {}, code, says } of MISTAKES) {
  onEachArtefact(`${what}: one error with its place and what to do, exit code ${code}`, { atOnce: true }, async (t, artefact) => {
    const cwd = writeTemporary(t, files)("");
    const command = [...artefact.map((word) => (word.startsWith("dist/") || word.startsWith("node_modules/") ? resolve(word) : word)), ...words];
    const outcome = await runToEnd(command, { cwd });
    assert.match(outcome.stderr, says);
    assert.equal(outcome.code, code, outcome.stderr);
    assert.equal(outcome.stdout, "");
    assert.equal(outcome.stderr.match(/^error: /gm)?.length, 1, outcome.stderr);
    assert.doesNotMatch(outcome.stderr, /listener\.start|^\s+at /m);
  });
}

onEachArtefact("a port that another program has: exit code 71, and no listener of the others accepts", {}, async (t, artefact) => {
  const other = createServer();
  await new Promise<void>((ready) => other.listen({ host: "127.0.0.1", port: 0 }, ready));
  t.after(() => void other.close());
  const { port } = other.address() as AddressInfo;
  const free = await freePort();
  const words = ["-l", `mqtt://127.0.0.1:${free}`, "-l", `mqtt://127.0.0.1:${port}`, "mqtt://127.0.0.1:1"];
  const outcome = await runToEnd([...artefact, ...words]);
  assert.equal(outcome.code, 71, outcome.stderr);
  assert.match(outcome.stderr, new RegExp(`^error: -l: cannot listen on "127\\.0\\.0\\.1:${port}": another program has it\n.*${port + 1}`));
  assert.equal(outcome.stdout, "");
  await assert.rejects(RawClient.open({ port: free }));

  const checked = await runToEnd([...artefact, "check", ...words.slice(0, 4), "--to", "mqtt://127.0.0.1:1"]);
  assert.equal(checked.code, 71, checked.stderr);
  assert.match(checked.stderr, /another program has it/);
});

onEachArtefact("a broker that is down at the start is a warning, and is used once it is up", {}, async (t, artefact) => {
  const down = await freePort();
  const up = await RawBroker.start(t);
  const { sluice, port } = await startFront(t, artefact, { words: [`mqtt://127.0.0.1:${down}`, ...brokerUrls(up)] });
  const line = await sluice.waitForEvent("broker.down");
  assert.deepEqual([line["level"], line["broker"], line["error.type"]], ["warn", `127.0.0.1:${down}`, "refused"]);
  const client = await RawClient.open({ port });
  t.after(() => client.close());
  await client.send(m.connect());
  await (await up.accept()).send(m.connack());
  await client.expect(m.connack());
});

onEachArtefact("--print-config prints a file that does the same as the command line", needs("mosquitto"), async (t, artefact) => {
  const broker = await startMosquitto({ listenerCount: 3 });
  t.after(() => broker.stop());
  const urls = broker.ports.map((port) => `mqtt://127.0.0.1:${port}`);
  const words = ["-l", "mqtt://127.0.0.1:0", "-b", "client_id", "--log-level", "debug", "--log-format", "json", ...urls];
  const printed = await runToEnd([...artefact, ...words, "--print-config"]);
  assert.equal(printed.code, 0, printed.stderr);
  assert.equal(printed.stderr, "");
  const file = writeTemporary(t, { "printed.toml": printed.stdout })("printed.toml");
  assert.equal((await runToEnd([...artefact, "-c", file, "--print-config"])).stdout, printed.stdout);
  assert.equal((await runToEnd([...artefact, "check", file])).code, 0);

  const homes: number[][] = [];
  for (const line of [words, ["-c", file]]) {
    const sluice = await startSluice(t, [...artefact, ...line]);
    const port = (await sluice.waitForEvent("listener.start"))["port"] as number;
    const found: number[] = [];
    for (const clientId of names(9)) found.push(await brokerOf(t, { sluice, port }, clientId));
    homes.push(found);
  }
  assert.deepEqual(homes[1], homes[0]);
});

onEachArtefact("check says what it found on standard error and ok on standard output", {}, async (t, artefact) => {
  const broker = await RawBroker.start(t);
  const down = await freePort();
  const file = writeTemporary(t, { "sluice.toml": `[[listeners]]\nlisten = "mqtt://127.0.0.1:0"\n[pools.default]\nbrokers = ["mqtt://127.0.0.1:${broker.port}", "mqtt://127.0.0.1:${down}"]\n` })("sluice.toml");
  const outcome = await runToEnd([...artefact, "check", file]);
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.equal(outcome.stdout, "ok\n");
  assert.match(outcome.stderr, new RegExp(`127\\.0\\.0\\.1:${broker.port} .*answers`));
  assert.match(outcome.stderr, new RegExp(`warning: 127\\.0\\.0\\.1:${down} .*does not answer`));

  const bad = await runToEnd([...artefact, "check", writeTemporary(t, { "bad.toml": "[log]\nlevel = \"loud\"\n[limits]\ndial_timeout = \"soon\"\n" })("bad.toml")]);
  assert.equal(bad.code, 78);
  assert.equal(bad.stdout, "");
  assert.match(bad.stderr, /bad\.toml:2:\d+: .*loud/);
  assert.match(bad.stderr, /bad\.toml:4:\d+: .*soon/, "all problems at once");
});

onEachArtefact("schema, version and help are data on standard output, exit code 0", {}, async (_t, artefact) => {
  const schema = await runToEnd([...artefact, "schema"]);
  assert.deepEqual([schema.code, schema.stderr], [0, ""]);
  const sections = Object.keys(JSON.parse(schema.stdout).properties);
  for (const section of ["limits", "listeners", "log", "pools", "routes"]) assert.ok(sections.includes(section), section);
  for (const word of ["version", "--version"]) {
    const version = await runToEnd([...artefact, word]);
    assert.deepEqual([version.code, version.stderr], [0, ""]);
    assert.match(version.stdout, /^sluice \d+\.\d+\.\d+ \((bun|deno|node) \d+\.\d+\.\d+\)\n$/);
  }
  const help = await runToEnd([...artefact, "--help"]);
  assert.deepEqual([help.code, help.stderr], [0, ""]);
  assert.match(help.stdout, /--print-config/);
});

onEachArtefact("demo --for 3s shows messages that passed, and ends by itself with exit code 0", { atOnce: true }, async (_t, artefact) => {
  const outcome = await runToEnd([...artefact, "demo", "--for", "3s"]);
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.match(outcome.stderr, /sluice, port \d+[^]*mosquitto_sub -h 127\.0\.0\.1 -p \d+/);
  const lines = outcome.stdout.trimEnd().split("\n");
  assert.ok(lines.length >= 3, outcome.stdout);
  for (const line of lines) assert.match(line, /→ [AB] {2}\S+/);
});

/** Everything that a process said while this went on. */
async function transcriptOf(t: TestScope, artefact: readonly string[], words: readonly string[], body: (port: number) => Promise<void>): Promise<string> {
  const { sluice, port } = await startFront(t, artefact, { words, logLevel: "debug", mayEnd: true });
  await body(port);
  await sluice.child.stop();
  return sluice.child.stdout + sluice.child.stderr;
}

onEachArtefact("passwords of clients and brokers reach no line of any output", {}, async (t, artefact) => {
  const secret = "hunter2-and-more";
  const broker = await RawBroker.start(t);
  const down = await freePort();
  const urls = [`mqtt://gate:${secret}@127.0.0.1:${broker.port}`, `mqtt://gate:${secret}@127.0.0.1:${down}`];
  const said = await transcriptOf(t, artefact, urls, async (port) => {
    for (const version of [4, 5] as const) {
      const client = await RawClient.open({ port });
      t.after(() => client.close());
      await client.send(m.connect({ version, clientId: "guest", username: "guest", password: `guest-${secret}` }));
      const connection = await broker.accept();
      await connection.expect(m.connect({ version, clientId: "guest", username: "gate", password: secret }));
      await connection.send(m.connack({ version, code: version === 5 ? 0x86 : 4 }));
      await client.takePacket();
      await client.expectEnd();
    }
    // a CONNECT that is wrong behind its password, and one that stops within
    for (const bytes of [m.connect({ username: "guest", password: secret, trailing: secret }), m.connect({ username: "guest", password: secret }).subarray(0, -3)]) {
      const client = await RawClient.open({ port });
      t.after(() => client.close());
      await client.send(bytes);
      client.end();
      await client.expectEnd();
    }
  });
  assert.match(said, /"client.reject"/);
  assert.doesNotMatch(said, /hunter2/);

  const wrong = [
    [`mqtt://gate:${secret}@127.0.0.1:99999`],
    [`http://gate:${secret}@127.0.0.1`],
    [`mqtt://gate:${secret}@127.0.0.1/topic`],
    [`mqtt://gate:${secret}@`],
    ["check", "--to", urls[1]!, "-l", "mqtt://127.0.0.1:0"],
    ["-c", writeTemporary(t, { "a.toml": `[pools.default]\nbrokers = ["mqtt://gate:${secret}@127.0.0.1:99999"]\n` })("a.toml")],
    ["-l", `mqtt://gate:${secret}@:1883`, "b"],
  ];
  for (const words of wrong) {
    const { stdout, stderr } = await runToEnd([...artefact, ...words]);
    assert.notEqual(stderr, "");
    assert.doesNotMatch(stdout + stderr, /hunter2/, words.join(" "));
  }
});

onEachArtefact("the demo ends quietly when nobody reads its output any more", {}, async (_t, artefact) => {
  const outcome = await runToEnd(["sh", "-c", '{ "$@" demo; echo "exit code $?" >&2; } | head -n 1', "sh", ...artefact], { timeoutMs: 30_000 });
  assert.equal(outcome.stdout.trimEnd().split("\n").length, 1);
  assert.match(outcome.stderr, /exit code 0\n$/);
  assert.doesNotMatch(outcome.stderr, /^error|^\s+at /m);
});

onEachArtefact("two listeners that cannot be had together are found by check and by the start, and no other program is blamed", {}, async (_t, artefact) => {
  const port = await freePort();
  const words = ["-l", `mqtt://:${port}`, "-l", `mqtt://localhost:${port}`, "--to", "mqtt://127.0.0.1:1"];
  for (const line of [words, ["check", ...words]]) {
    const outcome = await runToEnd([...artefact, ...line]);
    assert.equal(outcome.code, 71, outcome.stderr);
    assert.match(outcome.stderr, new RegExp(`^error: -l: cannot listen on "localhost:${port}": the listener "mqtt://:${port}" of this configuration has it\n`));
  }
});
