import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parsePasswordFile, usernameProblem, withoutUser, withUser, type PasswordUsers } from "../../../src/policy/authentication/password_file.ts";
import { STRANGE_NAMES } from "./identities.ts";

const HASH = `$6$c2FsdHNhbHRzYWx0$${"A".repeat(85)}Q==`;

function users(text: string): PasswordUsers {
  const read = parsePasswordFile(text);
  assert.ok(read instanceof Map, JSON.stringify(read));
  return read;
}

describe("parsePasswordFile", () => {
  test("reads users, and passes over comments and lines of blanks", () => {
    const text = `# made by hand\nalice:${HASH}\n\n   \t\n# bob:${HASH}\r\nbob b:${HASH}\r\nкарл/#+:${HASH}  `;
    assert.deepEqual([...users(text).keys()], ["alice", "bob b", "карл/#+"]);
    for (const nobody of ["", "\n", "# nothing\n"]) assert.equal(users(nobody).size, 0);
  });

  const refused: [what: string, text: string, reason: string][] = [
    ["CVE-2018-12551: a word without a colon", "alice\n", "line 1: there is no colon: expected user:hash"],
    ["CVE-2018-12551: a user without a name", `\n:${HASH}\n`, "line 2: the user name is empty"],
    ["a blank for a name", `  :${HASH}`, "line 1: there are blanks around the user name"],
    ["blanks that mosquitto cuts off", `alice :${HASH}`, "line 1: there are blanks around the user name"],
    ["a user without a password", `bob:${HASH}\nalice:\n`, "line 2: the password cannot be read: expected a hash that begins with $6$, $7$ or $argon2id$ behind the colon"],
    ["a password in plain text", "alice:secret\n", "line 1: the password cannot be read: expected a hash that begins with $6$, $7$ or $argon2id$ behind the colon"],
    ["a hash that was cut off", `alice:${HASH.slice(0, -4)}\n`, "line 1: the password cannot be read: expected a hash of 64 bytes in Base64"],
    ["something behind the hash", `alice:${HASH}:more\n`, "line 1: the password cannot be read: expected $6$salt$hash, both in Base64"],
    ["the same user again", `alice:${HASH}\n#\nalice:${HASH}\n`, "line 3: the user stands in line 1 already"],
    ["control characters in a name", `al\u0000ice:${HASH}\n`, "line 1: the user name has control characters in it, or is longer than MQTT can carry"],
    ["a name that MQTT cannot carry", `${"a".repeat(65_536)}:${HASH}\n`, "line 1: the user name has control characters in it, or is longer than MQTT can carry"],
  ];
  for (const [what, text, reason] of refused) {
    test(`refuses the whole file for ${what}`, () => {
      const fault = parsePasswordFile(text);
      assert.ok("reason" in fault);
      assert.equal(fault.reason, reason);
      assert.ok(!fault.reason.includes("secret") && !fault.reason.includes(HASH.slice(20)));
    });
  }

  test("A2, I5: each name is its own, or is refused, and none is a key of Object", () => {
    const fitting = STRANGE_NAMES.filter((name) => usernameProblem(name) === undefined);
    assert.ok(fitting.includes("__proto__") && fitting.includes("constructor") && fitting.includes(".*"));
    const read = users(fitting.map((name) => `${name}:${HASH}\n`).join(""));
    assert.deepEqual([...read.keys()], fitting);
    for (const name of fitting) assert.equal(users(`someone:${HASH}`).get(name), undefined);
    for (const name of STRANGE_NAMES.filter((one) => usernameProblem(one) !== undefined)) {
      const alone = parsePasswordFile(`${name}:${HASH}`);
      assert.ok(!(alone instanceof Map) || alone.get(name) === undefined, JSON.stringify(name));
    }
  });
});

describe("withUser and withoutUser", () => {
  const text = `# mine\n\nalice:${HASH}\r\nalice2:${HASH}\nbob:${HASH}`;

  test("change one line and leave every other byte", () => {
    assert.equal(withUser(text, "alice", "NEW"), `# mine\n\nalice:NEW\nalice2:${HASH}\nbob:${HASH}`);
    assert.equal(withUser(text, "carl", "NEW"), `${text}\ncarl:NEW\n`);
    assert.equal(withUser("", "carl", "NEW"), "carl:NEW\n");
    assert.equal(withUser("bob:X\n", "carl", "$&"), "bob:X\ncarl:$&\n");
    assert.equal(withoutUser(text, "alice"), `# mine\n\nalice2:${HASH}\nbob:${HASH}`);
    assert.equal(withoutUser(text, "bob"), `# mine\n\nalice:${HASH}\r\nalice2:${HASH}`);
    assert.equal(withoutUser("bob:X\n", "bob"), "");
  });

  test("a name is compared whole", () => {
    for (const name of ["ali", "alice3", "# mine", "ALICE", ".*", "mine"]) assert.equal(withoutUser(text, name), undefined, name);
  });
});
