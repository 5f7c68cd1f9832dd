import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { startHaproxy } from "../support/haproxy.ts";
import { needs, startMosquitto, type Mosquitto, type MosquittoOptions } from "../support/mosquitto.ts";
import { runToEnd, type TestScope } from "../support/process.ts";
import { callSecurely } from "../support/s_client.ts";
import { onEachArtefact, startFront, writeTemporary, type Front } from "./front.ts";
import { publish, received, subscribe, type Target } from "./mosquitto_clients.ts";

const NEEDS = needs("mosquitto", "mosquitto_pub", "mosquitto_sub");
const fixture = (name: string): string => resolve("test/fixtures/tls", name);

async function startBroker(t: TestScope, options: MosquittoOptions = {}): Promise<Mosquitto> {
  const broker = await startMosquitto(options);
  t.after(() => broker.stop());
  return broker;
}

/** mosquitto_pub and mosquitto_sub at a unix socket. */
const at = (path: string): Target => ({ port: 0, words: ["--unix", path] });

async function assertServes(t: TestScope, broker: Mosquitto, target: Target, id: string): Promise<void> {
  const child = await subscribe(t, broker, target, { id, filters: ["A"], qos: 2, count: 1 });
  await publish(target, ["-t", "A", "-q", "2", "-m", id]);
  assert.deepEqual(await received(child), [`A 2 0 ${id}`]);
}

const unixFront = (t: TestScope, artefact: readonly string[], words: readonly string[], mayEnd = false): Promise<Front> =>
  startFront(t, artefact, { listen: null, words, mayEnd });

onEachArtefact("clients at a unix socket, and a broker at another", NEEDS, async (t, artefact) => {
  const path = writeTemporary(t, {});
  const broker = await startBroker(t, { extra: [`listener 0 ${path("broker.sock")}`] });
  const { sluice } = await unixFront(t, artefact, ["-l", `unix://${path("in.sock")}`, `unix://${path("broker.sock")}`]);
  await assertServes(t, broker, at(path("in.sock")), "both");
  const line = await sluice.waitForEvent("client.open", (one) => one["client.id"] === "both");
  assert.deepEqual([line["client.address"], line["broker"], line["listener"]], ["unix", `unix:${path("broker.sock")}`, `unix://${path("in.sock")}`]);
});

onEachArtefact("the socket's file has the mode that was asked for, goes with the process, and a dead one is replaced", NEEDS, async (t, artefact) => {
  const path = writeTemporary(t, {});
  const file = path("in.sock");
  const broker = await startBroker(t);
  const config = `[[listeners]]\nlisten = "unix://${file}"\nmode = "0660"\n[pools.default]\nbrokers = ["mqtt://127.0.0.1:${broker.port}"]\n`;
  const start = (): Promise<Front> => startFront(t, artefact, { listen: null, config, mayEnd: true });
  const first = await start();
  assert.equal(statSync(file).mode & 0o777, 0o660);
  await first.sluice.child.kill();
  assert.ok(existsSync(file), "nobody was left to remove it");
  const second = await start();
  await assertServes(t, broker, at(file), "after a crash");
  assert.deepEqual(await second.sluice.child.stop(), { code: 0, signal: null });
  assert.equal(existsSync(file), false);
});

onEachArtefact("a socket that is in use, and a file that is none, are left alone: exit code 71", NEEDS, async (t, artefact) => {
  const path = writeTemporary(t, {});
  const broker = await startBroker(t);
  const to = `mqtt://127.0.0.1:${broker.port}`;
  await unixFront(t, artefact, ["-l", `unix://${path("in.sock")}`, to]);
  writeFileSync(path("notes.txt"), "not a socket");
  for (const [name, says] of [["in.sock", /another program has it|in use/], ["notes.txt", /notes\.txt/], ["nowhere/in.sock", /nowhere\/in\.sock/]] as const) {
    const outcome = await runToEnd([...artefact, "-l", `unix://${path(name)}`, to]);
    assert.equal(outcome.code, 71, outcome.stderr);
    assert.match(outcome.stderr, says);
  }
  assert.equal(readFileSync(path("notes.txt"), "utf8"), "not a socket");
  await assertServes(t, broker, at(path("in.sock")), "undisturbed");
});

onEachArtefact("TLS on a unix socket, as OpenSSL's client speaks it", needs("mosquitto", "openssl"), async (t, artefact) => {
  const path = writeTemporary(t, {});
  const broker = await startBroker(t);
  const pair = ["--cert", fixture("server.pem"), "--key", fixture("server.key")];
  const { sluice } = await unixFront(t, artefact, ["-l", `mqtts+unix://${path("tls.sock")}`, ...pair, `mqtt://127.0.0.1:${broker.port}`]);
  const answer = await callSecurely({ port: path("tls.sock"), serverName: "localhost", words: ["-CAfile", fixture("ca.pem"), "-alpn", "mqtt"] });
  assert.deepEqual([answer.isConnected, answer.version, answer.alpn], [true, "TLSv1.3", "mqtt"], answer.transcript);
  const line = await sluice.waitForEvent("client.open");
  assert.deepEqual([line["client.address"], line["tls.alpn"], line["tls.server_name"]], ["unix", "mqtt", "localhost"]);
});

onEachArtefact('HAProxy at a unix socket is believed when "unix" is trusted', needs("mosquitto", "mosquitto_pub", "mosquitto_sub", "haproxy"), async (t, artefact) => {
  const path = writeTemporary(t, {});
  const broker = await startBroker(t);
  const { sluice } = await unixFront(t, artefact, ["-l", `unix://${path("in.sock")}`, "--trust-proxy", "unix", `mqtt://127.0.0.1:${broker.port}`]);
  const haproxy = await startHaproxy(t, { server: `unix@${path("in.sock")} send-proxy-v2` });
  await publish({ port: haproxy.port, words: ["-A", "127.0.0.78"] }, ["-i", "proxied", "-t", "A", "-m", "hello", "-q", "1"]);
  const line = await sluice.waitForEvent("client.open", (one) => one["client.id"] === "proxied");
  assert.deepEqual([line["client.address"], line["proxy.address"]], ["127.0.0.78", "unix"]);
});
