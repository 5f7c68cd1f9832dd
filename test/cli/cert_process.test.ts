import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { startMosquitto } from "../support/mosquitto.ts";
import { needs } from "../support/needs.ts";
import { runToEnd, type TestScope } from "../support/process.ts";
import { temporaryFolder } from "../support/temporary_folder.ts";
import { programFor } from "./program.ts";

/** Runs `sluice cert ...` in a directory that holds its state too. */
async function begin(t: TestScope) {
  const program = await programFor(t);
  const cwd = temporaryFolder(t);
  const env = { STATE_DIRECTORY: join(cwd, "state"), NO_COLOR: "1" };
  return { cwd, cert: (...words: string[]) => runToEnd([...program, "cert", ...words], { cwd, env, timeoutMs: 60_000 }) };
}

test("sluice cert client as a process: data on stdout, talk on stderr, a key that is its owner's alone", async (t) => {
  const { cwd, cert } = await begin(t);
  const { code, stdout, stderr } = await cert("client", "sensor-1");
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "sensor-1.pem\nsensor-1.key\n");
  assert.match(stderr, /^made an authority for this host, [^\n]*state\/ca\.pem\nmade sensor-1\.pem and sensor-1\.key for CN=sensor-1, [^\n]*\nserve: [^\n]*\ntry: mosquitto_pub [^\n]*\n$/);
  if (process.platform !== "win32") {
    for (const file of ["sensor-1.key", "state/ca.key"]) assert.equal(statSync(join(cwd, file)).mode & 0o777, 0o600, file);
    assert.equal(statSync(join(cwd, "state")).mode & 0o777, 0o700);
  }
  const shown = await cert("inspect", "sensor-1.pem", "sensor-1.key");
  assert.match(shown.stdout, /^sensor-1\.pem\n {2}subject {6}CN=sensor-1\n[^]*\nsensor-1\.key: a private key, EC P-256; it is not shown\n$/);
  assert.deepEqual([shown.code, shown.stderr], [0, ""]);
  const again = await cert("client", "sensor-1");
  assert.deepEqual([again.code, again.stdout], [64, ""]);
  assert.match(again.stderr, /^error: command line: cannot write "sensor-1\.pem": it exists already\n/);
});

test("without --ca, an authority in this directory is pointed at", async (t) => {
  const { cwd, cert } = await begin(t);
  await cert("client", "first");
  assert.equal((await cert("ca")).code, 0);
  const { code, stderr } = await cert("client", "second");
  assert.equal(code, 0);
  assert.match(stderr, /^warning: signing with .*state\/ca\.pem, not with the ca\.pem in this directory: that one would be --ca ca\.pem\n/);
  assert.ok(existsSync(join(cwd, "second.pem")));
});

test("the mosquitto_pub line that it prints works, with a broker that takes only such clients", needs("mosquitto", "mosquitto_pub", "mosquitto_sub", "sh"), async (t) => {
  const { cwd, cert } = await begin(t);
  for (const words of [["ca"], ["server", "localhost", "127.0.0.1", "--ca", "ca.pem"]]) assert.equal((await cert(...words)).code, 0);
  const { code, stderr } = await cert("client", "it's sensor $1", "--ca", "ca.pem");
  assert.equal(code, 0, stderr);
  const at = (name: string): string => join(cwd, name);
  const broker = await startMosquitto({ tls: { cert: at("localhost.pem"), key: at("localhost.key"), ca: at("ca.pem") }, extra: ["use_identity_as_username true"] });
  t.after(() => broker.stop());
  const line = /^try: (.*)$/m.exec(stderr)?.[1] ?? "";
  assert.match(line, / -p 8883 /);
  const published = await runToEnd(["sh", "-c", line.replace("-p 8883", `-p ${broker.port}`)], { cwd });
  assert.equal(published.code, 0, published.stderr);
  assert.match(broker.log, /u'it's sensor \$1'/);
  const without = await runToEnd(["mosquitto_pub", "-h", "localhost", "-p", String(broker.port), "--cafile", at("ca.pem"), "-t", "A", "-m", "never"]);
  assert.notEqual(without.code, 0);
  assert.match(readFileSync(at("ca.pem"), "utf8"), /BEGIN CERTIFICATE/);
});
