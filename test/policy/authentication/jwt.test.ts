import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createJwtAuthenticator, type JwtOptions } from "../../../src/policy/authentication/jwt.ts";
import { ALGORITHMS, readKeySet, readPemKey, readSecret, type JwtKeys, type JwtKeysFault } from "../../../src/policy/authentication/jwt_keys.ts";
import type { Verdict } from "../../../src/policy/authentication/types.ts";
import { seeded } from "../../support/seed.ts";
import { client } from "./identities.ts";
import { secretToken, Signer, unsignedToken, type PublicAlgorithm } from "./tokens.ts";

const NOW = 1_800_000_000;
const SECRET = "0123456789abcdef0123456789abcdef";
const rsa = new Signer("RS256");
const ec = new Signer("ES256");

function usable(keys: JwtKeys | JwtKeysFault): JwtKeys {
  assert.ok("find" in keys, JSON.stringify(keys));
  return keys;
}

function authenticatorOf(options: Partial<JwtOptions> = {}) {
  const keys = options.keys ?? usable(readPemKey(rsa.pem));
  const { check } = createJwtAuthenticator({
    keys, algorithms: ALGORITHMS[keys.kind], issuers: [], audiences: [], leewayMs: 0, requiresExpiry: true, field: "password", usernameClaim: "sub", wallClock: () => NOW * 1_000, ...options,
  });
  return (token: string): Promise<Verdict> => Promise.resolve(check(client(options.field === "username" ? { username: token } : { username: "says so", password: token })));
}

const payload = { sub: "alice", exp: NOW + 60 };

async function refusal(verdict: Promise<Verdict>): Promise<string> {
  const { kind, ...rest } = await verdict;
  assert.equal(kind, "refused", JSON.stringify(rest));
  return `${(rest as { code: string }).code}: ${(rest as { detail: string }).detail}`;
}

describe("createJwtAuthenticator", () => {
  for (const algorithm of ["RS256", "ES256", "EdDSA"] as const satisfies readonly PublicAlgorithm[]) {
    test(`${algorithm}: the claim becomes the user name, and the token's end is told`, async () => {
      const signer = new Signer(algorithm);
      const check = authenticatorOf({ keys: usable(readPemKey(signer.pem)) });
      const verdict = await check(signer.token({ ...payload, roles: ["a"] }, { kid: "any", typ: "JWT" }));
      assert.ok(verdict.kind === "allowed");
      assert.deepEqual([verdict.username, verdict.expiresAt], ["alice", (NOW + 60) * 1_000]);
      assert.deepEqual({ ...verdict.claims }, { ...payload, roles: ["a"] });
      assert.match(await refusal(check(new Signer(algorithm).token(payload))), /^bad_credentials: the token's signature is not of our key$/);
    });
  }

  test("a shared secret, when it was chosen", async () => {
    const check = authenticatorOf({ keys: usable(readSecret(Buffer.from(`${SECRET}\r\n`), "HS256")), algorithms: ["HS256"] });
    assert.equal((await check(secretToken(SECRET, payload))).kind, "allowed");
    assert.match(await refusal(check(secretToken(`${SECRET}x`, payload))), /signature is not of our key/);
  });

  test("what is no token is left to the next", async () => {
    const check = authenticatorOf();
    for (const password of ["", "secret", "a.b", "a.b.c.d", "a.b.c.d.e", "..", "a..c", ".b.c", "a b.c.d", "a.b.ç", `${rsa.token(payload)}\n`, ` ${rsa.token(payload)}`, `Bearer ${rsa.token(payload)}`]) {
      assert.deepEqual(await check(password), { kind: "next" }, JSON.stringify(password));
    }
    const { check: raw } = createJwtAuthenticator({ keys: usable(readPemKey(rsa.pem)), algorithms: ["RS256"], issuers: [], audiences: [], leewayMs: 0, requiresExpiry: true, field: "password", usernameClaim: "sub", wallClock: () => 0 });
    assert.deepEqual(raw(client({ username: rsa.token(payload) })), { kind: "next" });
    assert.deepEqual(raw(client({ password: new Uint8Array([0xff, 0x2e, 0xfe, 0x2e, 0x41]) })), { kind: "next" });
  });

  test("the token may stand in the user name, and gives another one", async () => {
    const verdict = await authenticatorOf({ field: "username", usernameClaim: "device" })(rsa.token({ ...payload, device: "d-1" }));
    assert.ok(verdict.kind === "allowed");
    assert.equal(verdict.username, "d-1");
  });

  const wrong: [what: string, token: string, reason: RegExp][] = [
    ["A8: alg none", unsignedToken(payload, "none"), /algorithm is not among those/],
    ["A8: alg None", unsignedToken(payload, "None"), /algorithm is not among those/],
    ["A8: no signature", rsa.token(payload).replace(/[^.]+$/, ""), /signature|cannot be read/],
    ["A8: the public key as a secret", secretToken(rsa.pem, payload), /algorithm is not among those/],
    ["A8: the public key as a secret, and a lie about it", secretToken(rsa.pem, payload, { alg: "RS256" }), /signature is not of our key/],
    ["A8: expired", rsa.token({ ...payload, exp: NOW }), /has expired/],
    ["A8: not yet valid", rsa.token({ ...payload, nbf: NOW + 1 }), /claim "nbf" is not as it has to be/],
    ["without an end", rsa.token({ sub: "alice" }), /claim "exp" is missing/],
    ["an end that is no number", rsa.token({ sub: "alice", exp: "2030" }), /claim "exp" is not as it has to be/],
    ["without an algorithm", rsa.token(payload, { alg: undefined }), /cannot be read|algorithm/],
    ["a critical extension", rsa.token(payload, { crit: ["x"], x: 1 }), /not supported|cannot be read/],
    ["a payload that is a list", rsa.token([payload]), /cannot be read/],
    ["a payload that is a text", rsa.token("alice"), /cannot be read/],
    ["a payload that is no JSON", rsa.token(`{"sub":"alice"`), /cannot be read/],
    ["letters without meaning", "aaaa.bbbb.cccc", /cannot be read/],
    ["a key of its own in the header", ec.token(payload, { alg: "ES256", jwk: ec.jwk }), /not supported|signature/],
    ["a byte changed", flipped(rsa.token(payload)), /signature is not of our key|cannot be read/],
    ["A8: 64 kB", `${"a".repeat(65_000)}.b.c`, /longer than 16384 characters/],
  ];
  for (const [what, token, reason] of wrong) {
    test(`refuses ${what}`, async () => {
      const said = await refusal(authenticatorOf()(token));
      assert.match(said, /^bad_credentials: /);
      assert.match(said, reason);
      assert.ok(said.length < 120);
    });
  }

  test("A8: another issuer or audience, or none", async () => {
    const check = authenticatorOf({ issuers: ["https://a.example", "https://b.example"], audiences: ["sluice"] });
    const right = { ...payload, iss: "https://b.example", aud: ["x", "sluice"] };
    assert.equal((await check(rsa.token(right))).kind, "allowed");
    for (const [change, claim] of [[{ iss: "https://c.example" }, "iss"], [{ iss: undefined }, "iss"], [{ iss: "https://b.example/" }, "iss"], [{ aud: "Sluice" }, "aud"], [{ aud: [] }, "aud"], [{ aud: undefined }, "aud"]] as const) {
      assert.match(await refusal(check(rsa.token({ ...right, ...change }))), new RegExp(`^bad_credentials: the token's claim "${claim}" is (missing|not as it has to be)$`));
    }
  });

  test("the leeway is for both ends, and no longer", async () => {
    const check = authenticatorOf({ leewayMs: 5_000 });
    assert.equal((await check(rsa.token({ ...payload, exp: NOW - 4, nbf: NOW + 5 }))).kind, "allowed");
    assert.match(await refusal(check(rsa.token({ ...payload, exp: NOW - 5 }))), /has expired/);
    assert.match(await refusal(check(rsa.token({ ...payload, nbf: NOW + 6 }))), /nbf/);
  });

  test("a token without an end is for ever, when that was chosen", async () => {
    const verdict = await authenticatorOf({ requiresExpiry: false })(rsa.token({ sub: "alice" }));
    assert.ok(verdict.kind === "allowed");
    assert.equal(verdict.expiresAt, undefined);
    assert.match(await refusal(authenticatorOf({ requiresExpiry: false })(rsa.token({ sub: "alice", exp: NOW - 1 }))), /has expired/);
  });

  test("I5: a claim that is no user name lets nobody in, and no claim is found that is not there", async () => {
    for (const sub of [undefined, null, 7, true, ["alice"], { a: 1 }, "", "a\u0000b", "a\r\nb", "x".repeat(20_000).slice(0, 0), "\ud800"]) {
      assert.match(await refusal(authenticatorOf()(rsa.token({ ...payload, sub }))), /^(not_authorized: the token's claim "sub" is no user name|bad_credentials: )/);
    }
    for (const usernameClaim of ["constructor", "toString", "__proto__", "hasOwnProperty"]) {
      assert.match(await refusal(authenticatorOf({ usernameClaim })(rsa.token(payload))), /^not_authorized: /);
    }
    const verdict = await authenticatorOf()(rsa.token(`{"sub":"alice","exp":${NOW + 1},"__proto__":{"admin":true},"constructor":1}`));
    assert.ok(verdict.kind === "allowed" && verdict.claims !== undefined);
    assert.equal(verdict.claims["admin"], undefined);
    assert.equal(verdict.claims["toString"], undefined);
    assert.equal(({} as Record<string, unknown>)["admin"], undefined);
  });

  test("algorithms that are not of the keys' kind are not allowed, whatever was configured", async () => {
    const check = authenticatorOf({ algorithms: ["HS256", "none", "RS256"] });
    assert.match(await refusal(check(secretToken(rsa.pem, payload))), /algorithm is not among/);
    assert.match(await refusal(check(unsignedToken(payload, "none"))), /algorithm is not among/);
    assert.equal((await check(rsa.token(payload))).kind, "allowed");
    assert.match(await refusal(authenticatorOf({ algorithms: ["PS256"] })(rsa.token(payload))), /algorithm is not among/);
  });

  test("of mutated tokens none comes in, and none throws", () =>
    seeded(async (random) => {
      const check = authenticatorOf();
      const token = rsa.token(payload);
      for (let round = 0; round < 1_000; round++) {
        const letters = [...token];
        const at = random.integer(0, letters.length - 3); // the last letters hold bits that nobody reads
        const before = letters[at];
        letters[at] = random.pick([..."AZaz09-_."]);
        if (letters[at] !== before) assert.notEqual((await check(letters.join(""))).kind, "allowed");
      }
    }));
});

function flipped(token: string): string {
  const at = token.lastIndexOf(".") - 5;
  return `${token.slice(0, at)}${token[at] === "A" ? "B" : "A"}${token.slice(at + 1)}`;
}

describe("keys", () => {
  const set = (...keys: unknown[]): string => JSON.stringify({ keys });

  test("a set: the token's kid chooses, or that one alone fits", async () => {
    const other = new Signer("RS256");
    const check = authenticatorOf({ keys: usable(readKeySet(set({ ...rsa.jwk, kid: "1" }, { ...other.jwk, kid: "2", use: "sig" }, { ...ec.jwk, kid: "3", alg: "ES256" }, { kty: "new" }, 7, null))) });
    assert.equal((await check(rsa.token(payload, { kid: "1" }))).kind, "allowed");
    assert.equal((await check(other.token(payload, { kid: "2" }))).kind, "allowed");
    assert.equal((await check(ec.token(payload))).kind, "allowed");
    assert.match(await refusal(check(rsa.token(payload))), /does not say which of several keys/);
    assert.match(await refusal(check(rsa.token(payload, { kid: "2" }))), /signature is not of our key/);
    for (const kid of ["4", "__proto__", "", 1, null]) assert.match(await refusal(check(rsa.token(payload, { kid }))), /none of the keys is for this token|cannot be read/);
    assert.match(await refusal(check(ec.token(payload, { kid: "1" }))), /none of the keys/);
  });

  test("secrets and private keys in a set are no public keys", async () => {
    const oct = { kty: "oct", k: Buffer.from(SECRET).toString("base64url"), kid: "s" };
    assert.deepEqual(readKeySet(set(oct, { ...rsa.jwk, d: "x" }, { ...rsa.jwk, use: "enc" })), { expected: "at least one public key for signatures" });
    const check = authenticatorOf({ keys: usable(readKeySet(set(oct, rsa.jwk))), algorithms: ["HS256", "RS256"] });
    assert.match(await refusal(check(secretToken(SECRET, payload, { kid: "s" }))), /algorithm is not among/);
  });

  test("what is no key is refused when it is read, and is not repeated", () => {
    for (const text of ["", "{", "[]", "null", '{"keys":{}}', '"keys"']) assert.deepEqual(readKeySet(text), { expected: 'a JSON object with a list "keys"' });
    assert.deepEqual(readKeySet(set(...Array.from({ length: 1_001 }, () => rsa.jwk))), { expected: "at most 1000 keys" });
    for (const text of ["", "secret", "-----BEGIN PUBLIC KEY-----\nc2VjcmV0\n-----END PUBLIC KEY-----\n"]) assert.deepEqual(readPemKey(text), { expected: "a public key as PEM text" });
    const privatePem = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    assert.match((readPemKey(privatePem) as JwtKeysFault).expected, /not the private one/);
    for (const [algorithm, bytesMin] of [["HS256", 32], ["HS384", 48], ["HS512", 64]] as const) {
      assert.deepEqual(readSecret(Buffer.from(`${"x".repeat(bytesMin - 1)}\n`), algorithm), { expected: `at least ${bytesMin} bytes for ${algorithm}` });
      assert.ok("find" in readSecret(Buffer.from("x".repeat(bytesMin)), algorithm));
    }
  });
});
