import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { machine } from "../../src/runtime/machine.ts";
import type { TestScope } from "../support/process.ts";
import { play } from "./fake_runtime.ts";

const HASH = `$6$c2FsdHNhbHRzYWx0$${"A".repeat(85)}Q==`;

/** A directory with a password file in it. */
function desk(t: TestScope, text: string | undefined) {
  const folder = mkdtempSync(join(tmpdir(), "sluice-passwd-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "passwords");
  if (text !== undefined) writeFileSync(file, text, { mode: 0o600 });
  return {
    file,
    text: (): string => readFileSync(file, "utf8"),
    files: (): string[] => readdirSync(folder),
    async passwd(...words: string[]) {
      const { code, out, error } = await play(["passwd", ...words], { machine });
      assert.deepEqual(out, [], "there is no data");
      return { code, error: error.join("\n").replaceAll(folder, "") };
    },
  };
}

describe("sluice passwd", () => {
  test("help says where the password comes from", async () => {
    const { code, out } = await play(["passwd", "--help"]);
    assert.equal(code, 0);
    assert.match(out.join("\n"), /usage: sluice passwd \[options\] <file> <user>\n[^]*-c, --create [^]*-D, --delete [^]*read from standard input/);
    assert.match((await play(["--help"])).out.join("\n"), /passwd +add, change or remove a user/);
    assert.match((await play(["--help"])).out.join("\n"), /-c, --config <file>/);
  });

  const refused: [words: string[], says: RegExp][] = [
    [[], /^error: command line: "sluice passwd" needs more: expected "sluice passwd \[options\] <file> <user>"$/],
    [["f"], /needs more/],
    [["f", "alice", "secret"], /^error: command line: a password, if it is one, has no place here, where everybody on this machine can see it\n.*\| sluice passwd f alice$/],
    [["-b", "f", "alice"], /^error: -b: not an option of "sluice passwd"/],
    [["f", ""], /cannot use "" as a user name: the user name is empty$/],
    [["f", "a:b"], /as a user name: there is a colon in the user name$/],
    [["f", "#a"], /begins with #, as a comment does$/],
    [["f", " a"], /there are blanks around the user name$/],
    [["f", "a\nb"], /control characters in it/],
    [["f", "a", "--hash", "sha512"], /^error: --hash: cannot use "sha512" as a hash: expected sha512-pbkdf2 or argon2id$/],
    [["f", "a", "-I", "0"], /^error: -I: cannot use "0" as a number of iterations: expected a whole number from 1 to 10000000$/],
    [["f", "a", "-I", "1e3"], /cannot use "1e3"/],
    [["f", "a", "-I", "10000001"], /cannot use "10000001"/],
    [["f", "a", "-H", "argon2id", "--iterations", "5"], /^error: --iterations: argon2id has no iterations: leave it out$/],
    [["-cD", "f", "a"], /^error: -D: cannot be used together with --create$/],
    [["f", "a", "--delete", "-I", "5"], /^error: --delete: cannot be used together with --iterations$/],
    [["f", "a", "--config", "x"], /^error: --config: not an option of "sluice passwd"/],
  ];
  for (const [words, says] of refused) {
    test(`refuses ${words.map((word) => JSON.stringify(word)).join(" ") || "nothing"}, and repeats no password`, async (t) => {
      const { passwd } = desk(t, undefined);
      const { code, error } = await passwd(...words);
      assert.match(error, says);
      assert.equal(code, 64);
      assert.ok(!error.includes("secret"));
    });
  }

  test("-c is --config everywhere else", async () => {
    const { error } = await play(["check", "-c", "nowhere.toml"]);
    assert.match(error.join("\n"), /nowhere\.toml/);
    assert.match((await play(["-c", "passwd"])).error.join("\n"), /passwd/);
  });

  test("deletes a user and leaves every other byte, and the file's mode", async (t) => {
    const { passwd, file, text, files } = desk(t, `# mine\nalice:${HASH}\nbob:${HASH}\n`);
    chmodSync(file, 0o640);
    const { code, error } = await passwd("-D", file, "alice");
    assert.deepEqual([code, error, text()], [0, 'removed "alice" in /passwords', `# mine\nbob:${HASH}\n`]);
    assert.deepEqual(files(), ["passwords"]);
    if (machine.userId !== undefined) assert.equal(statSync(file).mode & 0o777, 0o640);
    assert.equal((await passwd(file, "bob", "--delete")).code, 0);
    assert.equal(text(), "# mine\n");
  });

  const untouched: [what: string, text: string | undefined, words: string[], code: number, says: RegExp][] = [
    ["a user who is not there", `bob:${HASH}\n`, ["-D", "FILE", "alice"], 78, /^error: \/passwords: there is no user "alice"$/],
    ["no file to change", undefined, ["FILE", "alice"], 66, /^error: \/passwords: cannot read it: no .*\n +--create begins a new one$/],
    ["no file to delete from", undefined, ["-D", "FILE", "alice"], 66, /^error: \/passwords: cannot read it: no .*$/],
    ["a file that is to be new", `bob:${HASH}\n`, ["-c", "FILE", "alice"], 64, /^error: \/passwords: it exists already\n +leave out --create to change it$/],
    ["a file with a line that we do not understand", `bob:${HASH}\nalice:secret\n`, ["-D", "FILE", "bob"], 78, /^error: \/passwords: line 2: the password cannot be read: expected a hash .*\n +nothing was changed$/],
  ];
  for (const [what, before, words, code, says] of untouched) {
    test(`changes nothing for ${what}`, async (t) => {
      const { passwd, file, text, files } = desk(t, before);
      const said = await passwd(...words.map((word) => (word === "FILE" ? file : word)));
      assert.match(said.error, says);
      assert.equal(said.code, code);
      if (before === undefined) assert.deepEqual(files(), []);
      else assert.equal(text(), before);
    });
  }
});
