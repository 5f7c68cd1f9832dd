/**
 * testssl.sh looks for weak protocols and ciphers and for known holes, with default settings and on the executable. The whole of it takes
 * minutes; by hand: `sluice --listen mqtts://:8883 --listen wss://:8443 --tls auto ...`, then
 * `testssl --warnings batch --add-ca <state directory>/ca.pem 127.0.0.1:8883`.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { needs } from "../support/needs.ts";
import { ARTEFACTS, runToEnd } from "../support/process.ts";
import { startFront, writeTemporary } from "./front.ts";

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

/** What is in order, what only informs, what is about testssl's own tools, and what is no cause for action. */
const HARMLESS = ["OK", "INFO", "DEBUG", "WARN", "LOW"];
const CHECKS = ["--protocols", "--std", "--vulnerable"];
const LIMIT_MS = 110_000;

test("testssl.sh finds no weak protocol, no weak cipher and no hole that is rated above LOW", needs("testssl"), async (t) => {
  const fixture = (name: string): string => resolve("test/fixtures/tls", name);
  const words = ["--cert", fixture("server.pem"), "--key", fixture("server.key"), "mqtt://127.0.0.1:1"];
  const { port } = await startFront(t, ARTEFACTS.bun, { listen: "mqtts://127.0.0.1:0", words });
  const file = writeTemporary(t, {})("findings.json");
  const command = ["testssl", "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "min", ...CHECKS, "--jsonfile", file, `127.0.0.1:${port}`];
  const outcome = await runToEnd(command, { timeoutMs: LIMIT_MS, env: { TERM: "dumb" } });
  const findings = JSON.parse(readFileSync(file, "utf8")) as Finding[];
  const ids = findings.map(({ id }) => id);
  for (const id of ["TLS1", "TLS1_1", "TLS1_2", "TLS1_3", "cipherlist_STRONG", "heartbleed", "ROBOT", "secure_client_renego", "RC4"]) {
    assert.ok(ids.some((one) => one.startsWith(id)), `${id} was not looked at\n${outcome.stdout}`);
  }
  assert.deepEqual(findings.filter(({ severity }) => !HARMLESS.includes(severity)), [], outcome.stdout);
});
