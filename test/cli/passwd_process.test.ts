import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { createPasswordAuthenticator } from "../../src/policy/authentication/password_authenticator.ts";
import { parsePasswordFile } from "../../src/policy/authentication/password_file.ts";
import { Child } from "../support/child.ts";
import { startMosquitto } from "../support/mosquitto.ts";
import { needs } from "../support/needs.ts";
import { runToEnd, type TestScope } from "../support/process.ts";
import { temporaryFolder } from "../support/temporary_folder.ts";
import { programFor } from "./program.ts";

/** `sluice passwd` with a password in its standard input, and a file to write. */
async function begin(t: TestScope) {
  const program = await programFor(t);
  const file = join(temporaryFolder(t), "passwords");
  return {
    program,
    file,
    set: async (password: string, ...words: string[]) => {
      const ran = await runToEnd([...program, "passwd", ...words], { input: password, timeoutMs: 60_000 });
      assert.ok(password.trim() === "" || !`${ran.stdout}${ran.stderr}`.includes(password.trim()), "A10: the password is nowhere");
      return ran;
    },
  };
}

/** Whether sluice lets this user in by the file, and whether mosquitto does on this port. */
async function letsIn(file: string, username: string, password: string): Promise<boolean> {
  const users = parsePasswordFile(readFileSync(file, "utf8"));
  assert.ok(!("reason" in users), JSON.stringify(users));
  const { check } = createPasswordAuthenticator({ users, cacheMs: 0, cacheEntriesMax: 1, now: () => 0 });
  const verdict = await check({ clientId: "c", username, password: new TextEncoder().encode(password), address: "127.0.0.1", listener: "l", certificate: undefined });
  return verdict.kind === "allowed";
}

async function mosquittoLetsIn(port: number, username: string, password: string): Promise<boolean> {
  const ran = await runToEnd(["mosquitto_pub", "-h", "127.0.0.1", "-p", String(port), "-u", username, "-P", password, "-t", "a", "-m", "b"]);
  return ran.code === 0;
}

test("a file that is begun, changed and read: whole, and its owner's alone", async (t) => {
  const { file, set } = await begin(t);
  const made = await set("geheim\n", "-c", file, "alice");
  assert.deepEqual([made.code, made.stdout, made.stderr], [0, "", `set the password of "alice" in ${file}\n`]);
  if (process.platform !== "win32") assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.match(readFileSync(file, "utf8"), /^alice:\$7\$10000\$[A-Za-z0-9+/]{16}\$[A-Za-z0-9+/]{86}==\n$/);
  assert.equal((await set("other", "--hash", "argon2id", file, "bob")).code, 0);
  assert.equal((await set("changed\r\n", "-I", "7", file, "alice")).code, 0);
  assert.match(readFileSync(file, "utf8"), /^alice:\$7\$7\$.*\nbob:\$argon2id\$v=19\$m=47104,t=1,p=1\$.*\n$/);
  assert.deepEqual([await letsIn(file, "alice", "changed"), await letsIn(file, "bob", "other"), await letsIn(file, "alice", "geheim"), await letsIn(file, "bob", "changed")], [true, true, false, false]);
});

test("what cannot be a password is refused, and the file stays", async (t) => {
  const { file, set } = await begin(t);
  for (const [password, says] of [["", /is empty/], ["\n", /is empty/], ["two\nlines\n", /line break/], ["NUL\u0000", /control character/], ["x".repeat(65_536), /longer than the 65535 bytes/], ["x".repeat(200_000), /longer than/]] as const) {
    const { code, stderr } = await set(password, "-c", file, "alice");
    assert.equal(code, 64);
    assert.match(stderr, /^error: standard input: the password /);
    assert.match(stderr, says);
  }
  assert.throws(() => statSync(file), /ENOENT/);
  assert.equal((await set("x".repeat(65_535), "-c", file, "alice")).code, 0);
  assert.equal(await letsIn(file, "alice", "x".repeat(65_535)), true);
});

test("mosquitto reads our files, and we read and change those of mosquitto_passwd", needs("mosquitto", "mosquitto_passwd", "mosquitto_pub"), async (t) => {
  const { file, set } = await begin(t);
  const foreign = (...words: string[]) => runToEnd(["mosquitto_passwd", ...words]);
  assert.equal((await set("of alice", "-c", file, "alice")).code, 0);
  assert.equal((await foreign("-b", file, "bob", "of bob")).code, 0);
  assert.equal((await foreign("-b", "-H", "sha512", file, "carl", "of carl")).code, 0);
  assert.equal((await set("of dora", file, "dora ü/#")).code, 0);
  assert.equal((await foreign("-b", file, "eve", "old")).code, 0);
  assert.equal((await set("of eve", file, "eve")).code, 0);
  assert.equal((await foreign("-b", file, "frank", "of frank")).code, 0);
  assert.equal((await set("", "-D", file, "frank")).code, 0);
  const broker = await startMosquitto({ allowAnonymous: false, extra: [`password_file ${file}`] });
  t.after(() => broker.stop());
  for (const [username, password, expected] of [
    ["alice", "of alice", true], ["bob", "of bob", true], ["carl", "of carl", true], ["dora ü/#", "of dora", true], ["eve", "of eve", true],
    ["alice", "of bob", false], ["eve", "old", false], ["frank", "of frank", false], ["dora", "of dora", false],
  ] as const) {
    assert.equal(await letsIn(file, username, password), expected, `sluice: ${username}`);
    assert.equal(await mosquittoLetsIn(broker.port, username, password), expected, `mosquitto: ${username}`);
  }
});

test("on a terminal it asks twice and shows nothing", needs("script"), async (t) => {
  const { program, file } = await begin(t);
  /** Types one answer to each question; what the terminal showed, and the exit code. */
  const type = async (...answers: string[]) => {
    const child = await Child.start(["script", "-qec", [...program, "passwd", "-c", file, "alice"].map((word) => `'${word}'`).join(" "), "/dev/null"]);
    for (const [index, question] of ["Password: ", "Again: "].entries()) {
      const answer = answers[index];
      if (answer === undefined) break;
      await child.waitFor(({ stdout }) => (stdout.includes(question) ? true : undefined), 20_000, question);
      child.write(answer);
    }
    const { code } = await child.ended(20_000);
    return { code, shown: child.stdout };
  };
  const different = await type("geheim\r", "geheimm\r");
  assert.equal(different.code, 64);
  assert.match(different.shown, /the two passwords are different/);
  for (const answers of [["\u0003"], ["\u0004"], ["geheim\r", "gehei\u0003"], ["\r", "\r"], ["\u001b[A\r", "\u001b[A\r"]]) assert.equal((await type(...answers)).code, 64, JSON.stringify(answers));
  assert.throws(() => statSync(file), /ENOENT/);
  const { code, shown } = await type("wrong\u0015gehä\u007feim\r", "geheimm\u007f\r");
  assert.equal(code, 0, shown);
  assert.match(shown, /Password: \r?\n.*Again: \r?\n.*set the password of "alice"/s);
  assert.doesNotMatch(shown, /geh|eim|wrong/);
  assert.equal(await letsIn(file, "alice", "geheim"), true);
});
