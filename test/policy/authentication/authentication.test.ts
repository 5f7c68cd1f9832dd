import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createAuthenticate, type AuthenticationOptions } from "../../../src/policy/authentication/authentication.ts";
import { Bans } from "../../../src/policy/authentication/bans.ts";
import { NEXT, refused, type Authenticator, type Identity, type Verdict } from "../../../src/policy/authentication/types.ts";
import { certificate, client } from "./identities.ts";

/** Says the same of everybody, and notes who asked. */
function saying(name: string, verdict: Verdict | Promise<Verdict> | (() => Verdict)): Authenticator & { readonly asked: Identity[] } {
  const asked: Identity[] = [];
  return {
    name,
    asked,
    check(identity) {
      asked.push(identity);
      return typeof verdict === "function" ? verdict() : verdict;
    },
  };
}

function authenticate(options: Partial<AuthenticationOptions>) {
  return createAuthenticate({ authenticators: [], anonymous: false, now: () => 0, ...options });
}

const yes: Verdict = { kind: "allowed" };
const no = refused("bad_credentials", "wrong password");
const alice = client({ username: "alice", password: "secret" });

describe("createAuthenticate", () => {
  test("the first that has something to say decides, and those behind it are not asked", async () => {
    for (const late of [false, true]) {
      const wrap = (verdict: Verdict): Verdict | Promise<Verdict> => (late ? Promise.resolve(verdict) : verdict);
      const [first, second, third] = [saying("first", wrap(NEXT)), saying("second", wrap({ kind: "allowed", username: "a", expiresAt: 7 })), saying("third", wrap(no))];
      const decide = authenticate({ authenticators: [first, second, third] });
      assert.deepEqual(await decide(alice), { kind: "allowed", username: "a", expiresAt: 7, by: "second" });
      assert.deepEqual([first.asked, second.asked, third.asked], [[alice], [alice], []]);
      assert.deepEqual(await authenticate({ authenticators: [first, third, second] })(alice), { ...no, by: "third" });
    }
  });

  test("what is known at once needs no promise", () => {
    const decide = authenticate({ authenticators: [saying("first", NEXT), saying("second", yes)] });
    assert.deepEqual(decide(alice), { kind: "allowed", by: "second" });
  });

  test("A1: only who shows nothing at all is anonymous", async () => {
    const shown: [Identity, string][] = [
      [client(), "allowed"],
      [client({ username: "alice" }), "bad_credentials"],
      [client({ username: "" }), "bad_credentials"],
      [client({ username: "", password: "" }), "bad_credentials"],
      [client({ password: "secret" }), "bad_credentials"],
      [client({ password: "" }), "bad_credentials"],
      [alice, "bad_credentials"],
    ];
    for (const anonymous of [true, false]) {
      const decide = authenticate({ anonymous, authenticators: [saying("file", Promise.resolve(NEXT))] });
      for (const [identity, expected] of shown) {
        const decision = await decide(identity);
        const got = decision.kind === "allowed" ? "allowed" : decision.code;
        assert.equal(got, expected === "allowed" && !anonymous ? "not_authorized" : expected, JSON.stringify(identity));
        assert.equal(decision.by, "anonymous");
      }
    }
  });

  test("without authenticators the broker checks, and bans still hold", () => {
    const bans = new Bans({ networks: [], usernames: ["mallory"], clientIds: [] });
    const decide = authenticate({ bans });
    for (const identity of [client(), alice]) assert.deepEqual(decide(identity), { kind: "allowed", by: "none" });
    assert.deepEqual(decide(client({ username: "mallory" })), { ...refused("banned", "the user name is banned"), by: "bans" });
  });

  test("an authenticator that throws or rejects keeps the client out, and says nothing of what it saw", async () => {
    const thrower = saying("broken", () => {
      throw new TypeError("secret");
    });
    for (const broken of [thrower, saying("broken", Promise.reject(new TypeError("secret")))]) {
      const decision = await authenticate({ authenticators: [broken, saying("open", yes)], anonymous: true })(alice);
      assert.deepEqual(decision, { ...refused("auth_unavailable", "the check failed: TypeError"), by: "broken" });
    }
  });

  test("the banned are not asked for credentials", () => {
    const bans = new Bans({ networks: [], usernames: [], clientIds: ["sensor-?"] });
    const open = saying("open", yes);
    assert.deepEqual(authenticate({ bans, authenticators: [open] })(alice), { ...refused("banned", "the client id is banned"), by: "bans" });
    assert.deepEqual(open.asked, []);
  });

  test("failures are counted where credentials were shown and checked, and the one too many says so", async () => {
    const rules = { networks: [], usernames: [], clientIds: [] };
    const begin = () => new Bans(rules, { failuresMax: 2, windowMs: 1_000, banMs: 1_000 });
    const play = async (verdict: Verdict, identity: Identity) => {
      const decide = authenticate({ bans: begin(), authenticators: [saying("one", Promise.resolve(verdict))] });
      return [await decide(identity), await decide(identity), await decide(identity)].map((decision) => decision.kind === "refused" && (decision.bansNetwork ?? decision.code));
    };
    assert.deepEqual(await play(no, alice), ["bad_credentials", "192.0.2.1", "banned"]);
    assert.deepEqual(await play(refused("not_authorized", "deny"), alice), ["not_authorized", "192.0.2.1", "banned"]);
    assert.deepEqual(await play(NEXT, alice), ["bad_credentials", "192.0.2.1", "banned"]);
    assert.deepEqual(await play(NEXT, client()), ["not_authorized", "not_authorized", "not_authorized"]);
    assert.deepEqual(await play(refused("auth_unavailable", "down"), alice), ["auth_unavailable", "auth_unavailable", "auth_unavailable"]);
    assert.deepEqual(await play(refused("not_authorized", "no CN"), client({ certificate: certificate() })), ["not_authorized", "not_authorized", "not_authorized"]);
  });

  test("of guesses that are under way together, the one that fits comes too late", async () => {
    const bans = new Bans({ networks: [], usernames: [], clientIds: [] }, { failuresMax: 3, windowMs: 1_000, banMs: 1_000 });
    const verdicts: ((verdict: Verdict) => void)[] = [];
    const slow: Authenticator = { name: "slow", check: () => new Promise((resolve) => verdicts.push(resolve)) };
    const decide = authenticate({ bans, authenticators: [slow] });
    const pending = Array.from({ length: 5 }, () => decide(alice));
    for (const [index, tell] of verdicts.entries()) tell(index === 4 ? yes : no);
    const decisions = await Promise.all(pending);
    assert.deepEqual(decisions.map((decision) => decision.kind === "refused" && decision.code), ["bad_credentials", "bad_credentials", "bad_credentials", "bad_credentials", "banned"]);
    assert.deepEqual(decisions.filter((decision) => decision.bansNetwork !== undefined).length, 1);
  });
});
