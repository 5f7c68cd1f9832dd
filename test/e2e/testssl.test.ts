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
import { ARTEFACTS, runToEnd, type TestScope } from "../support/process.ts";
import { startFront, writeTemporary } from "./front.ts";

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

/** What is in order, what only informs, what is about testssl's own tools, and what is no cause for action. */
const HARMLESS = ["OK", "INFO", "DEBUG", "WARN", "LOW"];
const CHECKS = ["--protocols", "--std", "--server-preference", "--vulnerable"];
/** Alone on the machine it takes a minute. */
const LIMIT_MS = 300_000;

/** What testssl says of a listener of its own. */
async function look(t: TestScope, scheme: "mqtts" | "wss", checks: readonly string[]): Promise<{ findings: readonly Finding[]; said: string }> {
  const fixture = (name: string): string => resolve("test/fixtures/tls", name);
  const words = ["--cert", fixture("server.pem"), "--key", fixture("server.key"), "mqtt://127.0.0.1:1"];
  const { port } = await startFront(t, ARTEFACTS.bun, { listen: `${scheme}://127.0.0.1:0`, words });
  const file = writeTemporary(t, {})("findings.json");
  const command = ["testssl", "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "min", ...checks, "--jsonfile", file, `127.0.0.1:${port}`];
  const { stdout } = await runToEnd(command, { timeoutMs: LIMIT_MS, env: { TERM: "dumb" } });
  return { findings: JSON.parse(readFileSync(file, "utf8")) as Finding[], said: stdout };
}

function assertHarmless(findings: readonly Finding[], said: string, lookedAt: readonly string[]): void {
  for (const id of lookedAt) assert.ok(findings.some((one) => one.id.startsWith(id)), `${id} was not looked at\n${said}`);
  assert.deepEqual(findings.filter(({ severity }) => !HARMLESS.includes(severity)), [], said);
}

test("testssl.sh finds no weak protocol, no weak cipher and no hole that is rated above LOW", needs("testssl"), async (t) => {
  const { findings, said } = await look(t, "mqtts", CHECKS);
  assertHarmless(findings, said, ["TLS1", "TLS1_1", "TLS1_2", "TLS1_3", "cipherlist_STRONG", "cipher_order", "heartbleed", "ROBOT", "secure_client_renego", "RC4"]);
});

test("testssl.sh finds nothing that is rated above LOW in what a browser gets on a wss:// listener", needs("testssl"), async (t) => {
  const { findings, said } = await look(t, "wss", ["--headers"]);
  assertHarmless(findings, said, ["HTTP_status_code", "X-Content-Type-Options"]);
});
