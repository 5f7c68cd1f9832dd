import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createAuthenticate } from "../../../src/policy/authentication/authentication.ts";
import { Bans } from "../../../src/policy/authentication/bans.ts";
import { hashPassword, type NewScheme } from "../../../src/policy/authentication/hash_password.ts";
import { createPasswordAuthenticator, type PasswordAuthenticatorOptions } from "../../../src/policy/authentication/password_authenticator.ts";
import type { PasswordHash } from "../../../src/policy/authentication/password_hash.ts";
import { client, STRANGE_NAMES } from "./identities.ts";

const encoder = new TextEncoder();
const CHEAP: NewScheme = { scheme: "sha512-pbkdf2", iterations: 1 };

async function usersOf(passwords: Record<string, string>, scheme = CHEAP): Promise<Map<string, PasswordHash>> {
  const users = new Map<string, PasswordHash>();
  for (const [name, password] of Object.entries(passwords)) users.set(name, await hashPassword(encoder.encode(password), scheme));
  return users;
}

function authenticatorOf(users: ReadonlyMap<string, PasswordHash>, options: Partial<PasswordAuthenticatorOptions> = {}) {
  return createPasswordAuthenticator({ users, cacheMs: 60_000, cacheEntriesMax: 100, now: () => 0, ...options });
}

const allowed = { kind: "allowed" };
const next = { kind: "next" };
const wrongPassword = { kind: "refused", code: "bad_credentials", detail: "wrong password" };
const noPassword = { kind: "refused", code: "bad_credentials", detail: "no password" };

describe("createPasswordAuthenticator", () => {
  test("lets in who knows the password, refuses who does not, leaves strangers to the next", async () => {
    const { check } = authenticatorOf(await usersOf({ alice: "secret", bob: "Secret" }));
    assert.deepEqual(await check(client({ username: "alice", password: "secret" })), allowed);
    assert.deepEqual(await check(client({ username: "bob", password: "Secret" })), allowed);
    for (const password of ["Secret", "secret ", "secre", "secret\u0000", "\u0000"]) {
      assert.deepEqual(await check(client({ username: "alice", password })), wrongPassword, JSON.stringify(password));
    }
    assert.deepEqual(await check(client({ username: "carl", password: "secret" })), next);
    assert.deepEqual(await check(client({ password: "secret" })), next);
    assert.deepEqual(await check(client()), next);
  });

  test("A1: a user name without a password, or with an empty one, is let in by no file", async () => {
    const { check } = authenticatorOf(await usersOf({ alice: "", bob: "secret" }));
    for (const username of ["alice", "bob"]) {
      assert.deepEqual(await check(client({ username })), noPassword);
      assert.deepEqual(await check(client({ username, password: "" })), noPassword);
    }
    assert.deepEqual(await check(client({ username: "" })), next);
    assert.deepEqual(await check(client({ username: "", password: "" })), next);
  });

  test("A2, I5: names are compared exactly", async () => {
    const { check } = authenticatorOf(await usersOf({ alice: "secret" }));
    for (const username of STRANGE_NAMES) assert.deepEqual(await check(client({ username, password: "secret" })), next, JSON.stringify(username));
    const strange = authenticatorOf(new Map(await Promise.all(STRANGE_NAMES.map(async (name) => [name, await hashPassword(encoder.encode(`of ${name}.`), CHEAP)] as const))));
    for (const username of STRANGE_NAMES) {
      assert.deepEqual(await strange.check(client({ username, password: `of ${username}.` })), allowed, JSON.stringify(username));
      assert.deepEqual(await strange.check(client({ username, password: "of alice." })), wrongPassword);
    }
  });

  test("remembers who was right, and never who was wrong; a changed file remembers nothing", async () => {
    let now = 0;
    const users = await usersOf({ alice: "secret" });
    const { check } = authenticatorOf(users, { now: () => now });
    const [right, wrong] = [client({ username: "alice", password: "secret" }), client({ username: "alice", password: "guess" })];
    assert.ok(check(right) instanceof Promise);
    assert.deepEqual(await check(right), allowed);
    assert.deepEqual(check(right), allowed, "at once");
    assert.deepEqual(await check(wrong), wrongPassword);
    assert.ok(check(wrong) instanceof Promise);
    now = 60_000;
    assert.ok(check(right) instanceof Promise, "it was too long ago");
    assert.ok(authenticatorOf(users).check(right) instanceof Promise);
    const never = authenticatorOf(users, { cacheMs: 0 });
    await never.check(right);
    assert.ok(never.check(right) instanceof Promise);
  });

  test("what is remembered is bounded, and names and passwords cannot run into each other", async () => {
    const { check } = authenticatorOf(await usersOf({ ab: "c", a: "bc", b: "x", "1:a": "1:b" }), { cacheEntriesMax: 2 });
    await check(client({ username: "ab", password: "c" }));
    assert.deepEqual(await check(client({ username: "a", password: "bc" })), allowed);
    await check(client({ username: "b", password: "x" }));
    assert.ok(check(client({ username: "ab", password: "c" })) instanceof Promise, "it was pushed out");
    assert.deepEqual(check(client({ username: "b", password: "x" })), allowed);
    assert.ok(check(client({ username: "b", password: "y" })) instanceof Promise);
    assert.deepEqual(await check(client({ username: "1:a1:", password: "b" })), next);
  });

  test("A7: a stranger costs what a member costs, the same scheme and rounds", async () => {
    const slow: NewScheme = { scheme: "sha512-pbkdf2", iterations: 60_000 };
    const { check } = authenticatorOf(await usersOf({ alice: "secret" }, slow));
    const median = async (username: string): Promise<number> => {
      const times: number[] = [];
      for (let round = 0; round < 7; round++) {
        const started = performance.now();
        await check(client({ username, password: `guess ${round}` }));
        times.push(performance.now() - started);
      }
      return times.sort((a, b) => a - b)[3]!;
    };
    await median("warm up");
    const [known, unknown] = [await median("alice"), await median("stranger")];
    assert.ok(unknown > known / 3 && unknown < known * 3, `a member ${known} ms, a stranger ${unknown} ms`);
  });

  test("a flood ends in refusals, and all that was taken on is answered", async () => {
    const { check } = authenticatorOf(await usersOf({ alice: "secret" }));
    const verdicts = await Promise.all(Array.from({ length: 1_500 }, (_, index) => check(client({ username: "alice", password: `guess ${index}` }))));
    const codes = verdicts.map((verdict) => verdict.kind === "refused" && verdict.code);
    const busy = codes.filter((code) => code === "auth_unavailable").length;
    assert.equal(codes.filter((code) => code === "bad_credentials").length, 1_500 - busy);
    assert.ok(busy >= 400 && busy < 500, String(busy));
    assert.deepEqual(await check(client({ username: "alice", password: "secret" })), allowed);
  });

  test("10,000 wrong passwords: banned after the fifth, memory flat, others come in meanwhile", async () => {
    const users = await usersOf({ alice: "secret" }, { scheme: "sha512-pbkdf2", iterations: 1_000 });
    let now = 0;
    const bans = new Bans({ networks: [], usernames: [], clientIds: [] }, { failuresMax: 5, windowMs: 60_000, banMs: 600_000 });
    const authenticate = createAuthenticate({ bans, anonymous: false, now: () => now, authenticators: [authenticatorOf(users, { now: () => now })] });
    const guess = (index: number) => authenticate(client({ username: "alice", password: `guess ${index}`, address: "198.51.100.66" }));
    for (let index = 0; index < 100; index++) await guess(index);
    const before = process.memoryUsage().rss;
    const counts = new Map<string, number>();
    for (let index = 0; index < 10_000; index++) {
      now += 1;
      const decision = await guess(index);
      const said = decision.kind === "refused" ? decision.code : decision.kind;
      counts.set(said, (counts.get(said) ?? 0) + 1);
      if (index % 100 === 0) assert.equal((await authenticate(client({ username: "alice", password: "secret", address: "192.0.2.1" }))).kind, "allowed");
    }
    assert.deepEqual([...counts], [["banned", 10_000]]);
    assert.ok(process.memoryUsage().rss - before < 32e6, `grew by ${process.memoryUsage().rss - before} bytes`);
  });

  test("10,000 wrong passwords from as many addresses: nobody guesses, memory flat", async () => {
    const users = await usersOf({ alice: "secret" });
    const bans = new Bans({ networks: [], usernames: [], clientIds: [] }, { failuresMax: 5, windowMs: 60_000, banMs: 600_000 });
    const authenticate = createAuthenticate({ bans, anonymous: false, now: () => 0, authenticators: [authenticatorOf(users)] });
    const guess = async (index: number) => (await authenticate(client({ username: "alice", password: `guess ${index}`, address: `10.0.${index >> 8}.${index & 0xff}` }))).kind;
    for (let index = 0; index < 1_000; index++) await guess(index);
    const before = process.memoryUsage().rss;
    for (let index = 0; index < 10_000; index++) assert.equal(await guess(index), "refused");
    assert.ok(process.memoryUsage().rss - before < 48e6, `grew by ${process.memoryUsage().rss - before} bytes`);
  });
});
