import assert from "node:assert/strict";
import { resolve } from "node:path";
import { needs, startMosquitto, type Mosquitto } from "../support/mosquitto.ts";
import { runToEnd, startSluice, type SluiceProcess, type TestScope } from "../support/process.ts";
import { withSockets } from "../support/socket_manager.ts";
import { onEachArtefact, writeTemporary } from "./front.ts";
import { publish, received, subscribe } from "./mosquitto_clients.ts";

const NEEDS = needs("mosquitto", "mosquitto_pub", "mosquitto_sub", "perl");
const fixture = (name: string): string => resolve("test/fixtures/tls", name);

async function startBroker(t: TestScope): Promise<Mosquitto> {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  return broker;
}

async function portOf(sluice: SluiceProcess, name: string): Promise<number> {
  return (await sluice.waitForEvent("handed.over", (line) => line["name"] === name))["port"] as number;
}

const JSON_LOG = ["--log-format", "json"];

onEachArtefact("sockets that systemd hands over are told apart by their names, and served", NEEDS, async (t, artefact) => {
  const broker = await startBroker(t);
  const config = `[[listeners]]
listen = "mqtts+systemd://tls"
tls = { cert = "${fixture("server.pem")}", key = "${fixture("server.key")}" }
[[listeners]]
listen = "systemd://plain"
[pools.default]
brokers = ["mqtt://127.0.0.1:${broker.port}"]
`;
  const file = writeTemporary(t, { "sluice.toml": config })("sluice.toml");
  const sluice = await startSluice(t, withSockets(["plain", "unused", "tls"], [...artefact, ...JSON_LOG, "-c", file]));
  for (const listener of ["mqtts+systemd://tls", "systemd://plain"]) await sluice.waitForEvent("listener.start", (line) => line["listener"] === listener);
  const plain = { port: await portOf(sluice, "plain") };
  const secure = { port: await portOf(sluice, "tls"), words: ["-h", "localhost", "--cafile", fixture("ca.pem")] };
  for (const [id, target] of [["plain", plain], ["secure", secure]] as const) {
    const child = await subscribe(t, broker, target, { id, filters: ["A"], qos: 1, count: 1 });
    await publish(target, ["-t", "A", "-q", "1", "-m", id]);
    assert.deepEqual(await received(child), [`A 1 0 ${id}`]);
    const line = await sluice.waitForEvent("client.open", (one) => one["client.id"] === id);
    assert.equal(line["client.address"], "127.0.0.1");
  }
});

onEachArtefact("clients that came before sluice did are served: the socket listened already", NEEDS, async (t, artefact) => {
  const broker = await startBroker(t);
  const late = ["sh", "-c", 'read -r _ && exec "$@"', "sh", ...artefact, ...JSON_LOG, "-l", "systemd://", `mqtt://127.0.0.1:${broker.port}`];
  const sluice = await startSluice(t, withSockets(["only"], late));
  const target = { port: await portOf(sluice, "only") };
  const early = publish(target, ["-i", "early", "-t", "A", "-q", "1", "-m", "early"]);
  sluice.child.write("go on\n");
  await early;
  await sluice.waitForEvent("client.open", (line) => line["client.id"] === "early");
});

onEachArtefact("sockets for somebody else, with another name, or several without one are refused with what there is", NEEDS, async (_t, artefact) => {
  const run = (names: readonly string[], listen: string, env = {}) => runToEnd(withSockets(names, [...artefact, "-l", listen, "mqtt://127.0.0.1:1"]), { env });
  const cases = [
    [await run(["plain", "tls"], "systemd://mqtt"), /systemd handed no socket "mqtt" over, but: plain, tls/],
    [await run(["plain", "tls"], "systemd://"), /systemd handed 2 sockets over \(plain, tls\): say which, such as systemd:\/\/plain/],
    [await run(["plain"], "systemd://plain", { SLUICE_TEST_LISTEN_PID: "1" }), /systemd handed no socket over: start it by a socket unit/],
    [await runToEnd([...artefact, "-l", "systemd://", "mqtt://127.0.0.1:1"]), /systemd handed no socket over: start it by a socket unit/],
  ] as const;
  for (const [outcome, says] of cases) {
    assert.equal(outcome.code, 71, outcome.stderr);
    assert.match(outcome.stderr, says);
  }
});
