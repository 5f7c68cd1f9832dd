import assert from "node:assert/strict";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { needs, startMosquitto, type Mosquitto } from "../support/mosquitto.ts";
import { runToEnd, startSluice, type SluiceProcess, type TestScope } from "../support/process.ts";
import { callSecurely } from "../support/s_client.ts";
import { onEachArtefact, writeTemporary } from "./front.ts";
import { publish, received, subscribe } from "./mosquitto_clients.ts";

const NEEDS = needs("mosquitto", "mosquitto_pub", "mosquitto_sub", "openssl");
const FILES = { "ca.key": 0o600, "ca.pem": 0o644, "server.key": 0o600, "server.pem": 0o644 };

interface Place {
  readonly broker: Mosquitto;
  /** Where the authority shall be; nothing is there yet. */
  readonly directory: string;
  readonly words: readonly string[];
  start(): Promise<SluiceProcess>;
}

async function prepare(t: TestScope, artefact: readonly string[]): Promise<Place> {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  const directory = join(writeTemporary(t, {})("state"), "sluice");
  const words = ["-l", "mqtts://:0", "--tls", "auto", "--to", `mqtt://127.0.0.1:${broker.port}`];
  const start = (): Promise<SluiceProcess> => startSluice(t, [...artefact, ...words, "--log-format", "json"], { env: { STATE_DIRECTORY: directory }, mayEnd: true });
  return { broker, directory, words, start };
}

const portOf = async (sluice: SluiceProcess): Promise<number> => (await sluice.waitForEvent("listener.start"))["port"] as number;
const contents = (directory: string): string[] => Object.keys(FILES).map((name) => readFileSync(join(directory, name), "utf8"));

onEachArtefact("--tls auto makes an authority and a certificate at the first start, tells where, and keeps them", NEEDS, async (t, artefact) => {
  const { broker, directory, start } = await prepare(t, artefact);
  const first = await start();
  const told = await first.waitForEvent("certificate.authority");
  assert.match(String(told["msg"]), /^made a local authority: clients must trust /);
  assert.equal(told["file"], join(directory, "ca.pem"));
  assert.deepEqual(readdirSync(directory).sort(), Object.keys(FILES));
  for (const [name, mode] of Object.entries(FILES)) assert.equal(statSync(join(directory, name)).mode & 0o777, mode, name);
  assert.equal(statSync(directory).mode & 0o777, 0o700);

  const port = await portOf(first);
  for (const host of ["localhost", "127.0.0.1"]) {
    const target = { port, words: ["-h", host, "--cafile", String(told["file"])] };
    const child = await subscribe(t, broker, target, { id: `at-${host}`, filters: ["A"], qos: 1, count: 1 });
    await publish(target, ["-t", "A", "-q", "1", "-m", "trusted"]);
    assert.deepEqual(await received(child), ["A 1 0 trusted"]);
  }
  const name = hostname();
  if (/^[a-z0-9.-]+$/.test(name)) { // others are no names for a certificate
    const own = await callSecurely({ port, serverName: name, words: ["-CAfile", String(told["file"]), "-verify_hostname", name] });
    assert.match(own.transcript, /Verification: OK/);
  }
  await first.child.stop();

  const before = contents(directory);
  const second = await start();
  const again = await second.waitForEvent("certificate.authority");
  assert.match(String(again["msg"]), /^the certificate is from the local authority: clients must trust /);
  assert.deepEqual(contents(directory), before);
  await publish({ port: await portOf(second), words: ["-h", "localhost", "--cafile", String(again["file"])] }, ["-t", "A", "-m", "again", "-q", "1"]);
});

onEachArtefact("check with --tls auto writes nothing, and says where it would", NEEDS, async (t, artefact) => {
  const { directory, words } = await prepare(t, artefact);
  const outcome = await runToEnd([...artefact, "check", ...words], { env: { STATE_DIRECTORY: directory } });
  assert.deepEqual([outcome.code, outcome.stdout], [0, "ok\n"], outcome.stderr);
  assert.ok(outcome.stderr.includes(directory), outcome.stderr);
  assert.equal(existsSync(directory), false);
});

onEachArtefact("what was lost of the host's certificate is made again, of the authority nothing is", NEEDS, async (t, artefact) => {
  const { directory, words, start } = await prepare(t, artefact);
  await portOf(await start());
  const [caKey, ca] = contents(directory);
  rmSync(join(directory, "server.pem"));
  await portOf(await start());
  assert.deepEqual(contents(directory).slice(0, 2), [caKey, ca]);

  rmSync(join(directory, "ca.key"));
  rmSync(join(directory, "server.key"));
  const outcome = await runToEnd([...artefact, ...words], { env: { STATE_DIRECTORY: directory } });
  assert.equal(outcome.code, 78, outcome.stderr);
  assert.match(outcome.stderr, /ca\.key/);
  assert.equal(existsSync(join(directory, "ca.key")), false);
});

onEachArtefact("a key that others can read is warned of", NEEDS, async (t, artefact) => {
  const { directory, start } = await prepare(t, artefact);
  const first = await start();
  await portOf(first);
  await first.child.stop();
  chmodSync(join(directory, "ca.key"), 0o644);
  const warned = await (await start()).waitForEvent("config.warning", (line) => /ca\.key/.test(String(line["msg"])));
  assert.equal(warned["level"], "warn");
});

const SCRIPT = needs("mosquitto", "mosquitto_pub", "script");

onEachArtefact("what the banner tells to type works as it stands there", SCRIPT, async (t, artefact) => {
  const { directory, words } = await prepare(t, artefact);
  const terminal = ["script", "--quiet", "--return", "--command", `exec ${[...artefact, ...words].join(" ")}`, "/dev/null"];
  const { child } = await startSluice(t, terminal, { env: { STATE_DIRECTORY: directory, TERM: "dumb" }, mayEnd: true });
  const line = await child.waitFor(({ stdout }) => /(mosquitto_pub .*)\r\n/.exec(stdout)?.[1], 10_000, "what to type");
  assert.ok(line.includes(`--cafile ${join(directory, "ca.pem")}`), line);
  const published = await runToEnd(["sh", "-c", line]);
  assert.equal(published.code, 0, published.stderr);
  child.write("\x03");
  await child.ended(15_000);
});
