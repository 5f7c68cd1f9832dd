import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hashPassword, matchesPassword } from "../../../src/policy/authentication/hash_password.ts";
import { parsePasswordHash, passwordHashText, type PasswordHash } from "../../../src/policy/authentication/password_hash.ts";
import { seeded } from "../../support/seed.ts";

const encoder = new TextEncoder();
const SALT = "c2FsdHNhbHRzYWx0"; // 12 bytes
const HASH = `${"A".repeat(85)}Q==`; // 64 bytes
const ARGON2 = "$argon2id$v=19$m=256,t=2,p=1$";

function parsed(text: string): PasswordHash {
  const hash = parsePasswordHash(text);
  assert.ok("scheme" in hash, `${text}: ${JSON.stringify(hash)}`);
  return hash;
}

/** Each made by another program: mosquitto_passwd 2.0.11, and the reference implementation of Argon2 (its test.c). */
const FOREIGN: [what: string, password: string, text: string][] = [
  ["mosquitto's PBKDF2", "secret", "$7$101$lFvaRMnPKX4M1/vG$57z1F0925NK0707fvM+eIBcUmfHUe+SoXU7QZzvodG1BnIPvPgCxNvvkcpphmpIQtp/WYZMauW6wBND74MEqpQ=="],
  ["mosquitto's SHA-512", "secret", "$6$8F+aRbynwHHEqIAg$yR0Tmfd4RaMVl6IGRIVKbt3/+ibqGSkiShT8Or02vIB9DZT6rJGcH/4CwMHxKEz//M6T83Obt1n/c0rFb/7dtQ=="],
  ["argon2id with one lane", "password", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"],
  ["argon2id with two lanes", "password", "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"],
];

describe("matchesPassword", () => {
  for (const [what, password, text] of FOREIGN) {
    test(`takes the password of ${what}, and no other`, async () => {
      const hash = parsed(text);
      assert.equal(await matchesPassword(encoder.encode(password), hash), true);
      for (const wrong of [`${password}x`, password.slice(1), password.toUpperCase(), "", `${password}\u0000`]) {
        assert.equal(await matchesPassword(encoder.encode(wrong), hash), false, JSON.stringify(wrong));
      }
      assert.equal(passwordHashText(hash), text);
    });
  }

  test("any bytes are a password, with either of the schemes that are written", () =>
    seeded(async (random) => {
      const pbkdf2 = { scheme: "sha512-pbkdf2", iterations: 7 } as const;
      for (const [kind, lengths] of [[pbkdf2, [1, 127, 128, 129, 65_535]], [{ scheme: "argon2id" }, [65_535]]] as const) {
        for (const length of lengths) {
          const password = random.bytes(length);
          password[length - 1]! |= 0x80;
          const hash = parsed(passwordHashText(await hashPassword(password, kind)));
          assert.equal(hash.scheme, kind.scheme);
          assert.equal(await matchesPassword(password, hash), true);
          password[length - 1]! ^= 1;
          assert.equal(await matchesPassword(password, hash), false);
        }
      }
    }));

  test("the same password has another hash each time", async () => {
    const texts = await Promise.all(Array.from({ length: 5 }, async () => passwordHashText(await hashPassword(encoder.encode("x"), { scheme: "sha512-pbkdf2", iterations: 1 }))));
    assert.equal(new Set(texts).size, 5);
  });

  test("the event loop turns while slow hashes are computed", async () => {
    const slow = [parsed(`$7$300000$${SALT}$${HASH}`), parsed(`$argon2id$v=19$m=47104,t=2,p=1$c29tZXNhbHQ$${"A".repeat(43)}`)];
    for (const hash of slow) {
      let turns = 0;
      let done = false;
      const turn = (): void => {
        turns++;
        if (!done) setImmediate(turn);
      };
      setImmediate(turn);
      assert.equal(await matchesPassword(encoder.encode("x"), hash), false);
      done = true;
      assert.ok(turns >= 5, `${turns} turns during ${hash.scheme}`);
    }
  });
});

describe("parsePasswordHash", () => {
  const refused: [text: string, expected: RegExp][] = [
    ["", /begins with \$6\$/],
    ["secret", /begins with \$6\$/],
    ["$5$salt$hash", /begins with/],
    ["$2b$12$abcdefghijklmnopqrstuv", /begins with/],
    ["$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$AAAA", /begins with/],
    [` $7$101$${SALT}$${HASH}`, /begins with/],
    ["$6$", /\$6\$salt\$hash/],
    [`$6$${SALT}`, /\$6\$salt\$hash/],
    [`$6$${SALT}$${HASH}$`, /\$6\$salt\$hash/],
    [`$6$c2FsdA==$${HASH}`, /salt of 8 to 64 bytes/],
    [`$6$${"AAAA".repeat(30)}$${HASH}`, /salt of 8 to 64 bytes/],
    [`$6$${SALT.slice(1)}$${HASH}`, /salt of 8/],
    [`$6$${SALT}$${HASH.slice(4)}`, /hash of 64 bytes/],
    [`$6$${SALT}$${HASH}AAAA`, /hash of 64 bytes/],
    [`$6$${SALT}$${"A".repeat(85)}R==`, /hash of 64 bytes/], // bits that encoding never sets
    [`$6$${SALT}$${HASH.replace("==", "")}`, /hash of 64 bytes/],
    [`$6$salt-salt-sa$${HASH}`, /\$6\$salt\$hash/],
    [`$7$${SALT}$${HASH}`, /\$7\$iterations\$salt\$hash/],
    [`$7$0$${SALT}$${HASH}`, /\$7\$iterations/],
    [`$7$-1$${SALT}$${HASH}`, /\$7\$iterations/],
    [`$7$0101$${SALT}$${HASH}`, /\$7\$iterations/],
    [`$7$1e3$${SALT}$${HASH}`, /\$7\$iterations/],
    [`$7$10000001$${SALT}$${HASH}`, /at most 10000000 iterations/],
    [`$7$99999999999$${SALT}$${HASH}`, /\$7\$iterations/],
    [`$7$101$${SALT}$AAAA`, /hash of 64 bytes/],
    ["$argon2id$m=256,t=2,p=1$c29tZXNhbHQ$AAAA", /\$argon2id\$v=19/],
    ["$argon2id$v=16$m=256,t=2,p=1$c29tZXNhbHQ$AAAA", /\$argon2id\$v=19/],
    [`$argon2id$v=19$t=2,m=256,p=1$c29tZXNhbHQ$${"A".repeat(43)}`, /\$argon2id\$v=19/],
    [`$argon2id$v=19$m=1048576,t=1,p=1$c29tZXNhbHQ$${"A".repeat(43)}`, /at most m=262144/],
    [`$argon2id$v=19$m=256,t=65,p=1$c29tZXNhbHQ$${"A".repeat(43)}`, /at most m=262144,t=64/],
    [`$argon2id$v=19$m=8,t=1,p=2$c29tZXNhbHQ$${"A".repeat(43)}`, /eight times p/],
    [`${ARGON2}c29tZXNhbHQ=$${"A".repeat(43)}`, /without padding/],
    [`${ARGON2}c2FsdA$${"A".repeat(43)}`, /salt of 8/],
    [`${ARGON2}c29tZXNhbHQ$AAAA`, /hash of 16 to 64 bytes/],
    [`${ARGON2}c29tZXNhbHQ$${"A".repeat(120)}`, /hash of 16 to 64 bytes/],
  ];
  for (const [text, expected] of refused) {
    test(`refuses ${text.length > 60 ? `${text.slice(0, 57)}...` : JSON.stringify(text)} and does not repeat it`, () => {
      const fault = parsePasswordHash(text);
      assert.ok("expected" in fault, JSON.stringify(fault));
      assert.match(fault.expected, expected);
      assert.ok(!fault.expected.includes(HASH.slice(0, 20)));
    });
  }

  test("of mutated lines it refuses all or reads what they say, and never throws", () =>
    seeded((random) => {
      for (let round = 0; round < 5_000; round++) {
        const letters = [...random.pick(FOREIGN)[2]];
        for (let edits = random.integer(1, 3); edits > 0; edits--) letters[random.integer(0, letters.length - 1)] = random.pick([..."$=,0Aa+/ \u0000é", ""]);
        const text = letters.join("");
        const hash = parsePasswordHash(text);
        if ("scheme" in hash) assert.equal(passwordHashText(hash), text);
      }
    }));
});
