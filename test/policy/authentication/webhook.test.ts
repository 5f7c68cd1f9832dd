import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createWebhookAuthenticator, headersProblem, type WebhookOptions } from "../../../src/policy/authentication/webhook.ts";
import type { Identity, Verdict } from "../../../src/policy/authentication/types.ts";
import type { TestScope } from "../../support/process.ts";
import { within } from "../../support/deadline.ts";
import { certificate, client, STRANGE_NAMES } from "./identities.ts";
import { isSilent, says, Service, type Answer } from "./service.ts";

const alice = client({ username: "alice", password: "secret" });

/** An authenticator and the service that it asks. */
async function begin(t: TestScope, answer: Answer, options: Partial<WebhookOptions> = {}) {
  const service = await Service.start(t, answer);
  const { check } = createWebhookAuthenticator({
    url: service.url, headers: {}, timeoutMs: 5_000, requestsMax: 8, waitingMax: 8, cacheMs: 0, staleMs: 0, cacheEntriesMax: 100, now: () => performance.now(), ...options,
  });
  return { service, check: async (identity: Identity): Promise<Verdict> => check(identity), checkNow: check };
}

function codeOf(verdict: Verdict): string {
  return verdict.kind === "refused" ? verdict.code : verdict.kind;
}

describe("createWebhookAuthenticator", () => {
  test("tells all that is known of a client, as JSON in a POST", async (t) => {
    const { service, check } = await begin(t, says(204), { headers: { Authorization: "Bearer x", "Content-Type": "text/plain" } });
    await check(client({ clientId: "c", username: "alice", password: "sécret", address: "2001:db8::1", listener: "front", certificate: certificate({ commonName: "cn", dns: ["d"] }) }));
    await check(client({ password: new Uint8Array([0xff, 0x00, 0x80]) }));
    const [first, second] = service.asked;
    assert.deepEqual([first?.method, first?.path, first?.headers["content-type"], first?.headers["authorization"]], ["POST", "/", "application/json", "Bearer x"]);
    assert.deepEqual(JSON.parse(first?.body ?? ""), {
      client_id: "c", username: "alice", password: "sécret", address: "2001:db8::1", listener: "front",
      certificate: { common_name: "cn", dns: ["d"], email: [], uri: [], ip: [], fingerprint: "00".repeat(32) },
    });
    assert.deepEqual(JSON.parse(second?.body ?? ""), { client_id: "sensor-1", username: null, password_base64: "/wCA", address: "192.0.2.1", listener: "front", certificate: null });
  });

  const clear: [what: string, answer: Answer, verdict: Verdict][] = [
    ["204", says(204), { kind: "allowed" }],
    ["200 allow", says(200, { result: "allow" }), { kind: "allowed" }],
    ["200 allow as another", says(200, { result: "allow", username: "tenant-1/alice", more: [1] }), { kind: "allowed", username: "tenant-1/alice" }],
    ["200 allow with a name of null", says(200, { result: "allow", username: null }), { kind: "allowed" }],
    ["200 deny", says(200, { result: "deny", username: "x" }), { kind: "refused", code: "not_authorized", detail: "the service says deny" }],
    ["200 ignore", says(200, { result: "ignore" }), { kind: "next" }],
    ["401", says(401, { result: "allow" }), { kind: "refused", code: "bad_credentials", detail: "the service says 401" }],
    ["403", says(403), { kind: "refused", code: "not_authorized", detail: "the service says 403" }],
  ];
  for (const [what, answer, verdict] of clear) {
    test(`${what} is ${verdict.kind}`, async (t) => assert.deepEqual(await (await begin(t, answer)).check(alice), verdict));
  }

  const unclear: [what: string, answer: Answer, detail: RegExp][] = [
    ["500", says(500, { result: "allow" }), /status 500/],
    ["201 allow", says(201, { result: "allow" }), /status 201/],
    ["a redirect, which is not followed", (response) => response.writeHead(307, { location: "/elsewhere" }).end(), /status 307/],
    ["nothing", says(200), /neither allow/],
    ["no JSON", says(200, "allow"), /neither allow/],
    ["half of it", says(200, '{"result":"allow"'), /neither allow/],
    ["more than it", says(200, '{"result":"allow"}{'), /neither allow/],
    ["a list", says(200, ["allow"]), /neither allow/],
    ["null", says(200, "null"), /neither allow/],
    ["a result in another case", says(200, { result: "Allow" }), /neither allow/],
    ["a result of another type", says(200, { result: true }), /neither allow/],
    ["a result that is inherited", says(200, '{"__proto__":{"result":"allow"}}'), /neither allow/],
    ["a name that is none", says(200, { result: "allow", username: "a\u0000b" }), /neither allow/],
    ["an empty name", says(200, { result: "allow", username: "" }), /neither allow/],
    ["a name that is a number", says(200, { result: "allow", username: 7 }), /neither allow/],
    ["invalid UTF-8", (response) => response.writeHead(200).end(Buffer.from([...Buffer.from('{"result":"allow","x":"'), 0xff, 0x22, 0x7d])), /neither allow/],
    ["a body without end", (response) => void endless(response), /longer than 65536 bytes/],
    ["a connection that breaks", (response) => void response.socket?.destroy(), /cannot be reached/],
  ];
  for (const [what, answer, detail] of unclear) {
    test(`A3: ${what} keeps the client out`, async (t) => {
      const { service, check } = await begin(t, answer);
      const verdict = await check(alice);
      assert.ok(verdict.kind === "refused" && verdict.code === "auth_unavailable", JSON.stringify(verdict));
      assert.match(verdict.detail, detail);
      assert.doesNotMatch(verdict.detail, /secret|alice|127\.0\.0\.1/);
      assert.ok(service.asked.length <= 2); // Node asks once more over a fresh connection when an idle one broke
    });
  }

  test("A3: a service that is not there, or silent, or slow with its body, keeps the client out in time", async (t) => {
    const trickle: Answer = (response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write(" "), 20);
      response.on("close", () => clearInterval(timer));
    };
    for (const answer of [isSilent, trickle]) {
      const { check } = await begin(t, answer, { timeoutMs: 150 });
      const verdict = await within(10_000, check(alice), "the verdict");
      assert.deepEqual(verdict, { kind: "refused", code: "auth_unavailable", detail: "the service: no answer in time" });
    }
    const { service } = await begin(t, says(204));
    const gone = createWebhookAuthenticator({ url: new URL("http://127.0.0.1:9/"), headers: {}, timeoutMs: 5_000, requestsMax: 1, waitingMax: 1, cacheMs: 0, staleMs: 0, cacheEntriesMax: 1, now: () => 0 });
    assert.equal(codeOf(await gone.check(alice)), "auth_unavailable");
    assert.equal(service.asked.length, 0);
  });

  test("I3: whatever a client is called, it stands in the JSON and nowhere else", async (t) => {
    const { service, check } = await begin(t, says(403));
    const names = [...STRANGE_NAMES, 'a","result":"allow"}', "a\r\nX-Allow: 1\r\n\r\n", "\u2028", "\ud800", "?x=1&y=2#z", "x".repeat(65_535)];
    for (const name of names) {
      const password = Buffer.from(name).toString();
      await check(client({ clientId: name, username: name, password, certificate: certificate({ commonName: name, dns: [name] }) }));
      const { method, path, headers, body } = service.asked.at(-1)!;
      assert.deepEqual([method, path], ["POST", "/"]);
      const told = JSON.parse(body) as Record<string, unknown>;
      assert.deepEqual([told["client_id"], told["username"], told["password"]], [name, name, password]);
      assert.deepEqual(Object.keys(told), ["client_id", "username", "password", "address", "listener", "certificate"]);
      assert.deepEqual(Object.keys(headers).filter((one) => one.startsWith("x-")), []);
    }
  });

  test("asks again only when the answer is old, and remembers no refusal", async (t) => {
    let now = 0;
    const { service, check, checkNow } = await begin(t, says(200, { result: "allow", username: "a" }), { cacheMs: 1_000, staleMs: 1_000, now: () => now });
    for (const at of [0, 1, 999]) {
      now = at;
      assert.deepEqual(await check(alice), { kind: "allowed", username: "a" });
    }
    assert.equal(service.asked.length, 1);
    assert.ok(!(checkNow(alice) instanceof Promise), "at once");
    now = 1_000;
    service.answer = says(401);
    for (const expected of [2, 3]) {
      assert.equal(codeOf(await check(alice)), "bad_credentials");
      assert.equal(service.asked.length, expected);
    }
  });

  test("what is remembered is remembered of this very client: password, id, address, listener and certificate", async (t) => {
    const { service, check } = await begin(t, says(204), { cacheMs: 1_000, staleMs: 1_000, now: () => 0 });
    const others = [{ password: "other" }, { clientId: "other" }, { address: "192.0.2.2" }, { listener: "other" }, { certificate: certificate() }, { username: "other" }];
    for (const other of [{}, ...others]) await check(client({ username: "alice", password: "secret", ...other }));
    assert.equal(service.asked.length, 1 + others.length);
  });

  test("while the service is down its last clear word counts, for a while", async (t) => {
    let now = 0;
    const { service, check } = await begin(t, says(200, { result: "allow" }), { cacheMs: 100, staleMs: 10_000, now: () => now });
    const bob = client({ username: "bob", password: "x" });
    assert.equal(codeOf(await check(alice)), "allowed");
    service.answer = says(503);
    now = 5_000;
    assert.equal(codeOf(await check(alice)), "allowed");
    assert.equal(codeOf(await check(bob)), "auth_unavailable");
    assert.equal(codeOf(await check(client({ username: "alice", password: "guess" }))), "auth_unavailable");
    now = 10_000;
    assert.equal(codeOf(await check(alice)), "auth_unavailable");
    service.answer = says(200, { result: "allow" });
    assert.equal(codeOf(await check(alice)), "allowed");
    now = 11_000;
    service.answer = says(403);
    assert.equal(codeOf(await check(alice)), "not_authorized");
    service.answer = says(503);
    assert.equal(codeOf(await check(alice)), "auth_unavailable", "who was refused since is not let in by an older word");
  });

  test("R14: so many requests at a time, so many that wait, and the rest is refused at once", async (t) => {
    const held: (() => void)[] = [];
    let together = 0;
    let togetherMax = 0;
    const { service, check } = await begin(t, (response) => {
      togetherMax = Math.max(togetherMax, ++together);
      held.push(() => {
        together--;
        says(204)(response, service.asked[0]!);
      });
      if (held.length >= 4) for (const tell of held.splice(0)) tell();
    }, { requestsMax: 4, waitingMax: 8 });
    const codes = (await within(20_000, Promise.all(Array.from({ length: 100 }, (_, index) => check(client({ clientId: `c${index}` })))), "all verdicts")).map(codeOf);
    assert.equal(codes.filter((code) => code === "allowed").length, 12);
    assert.equal(codes.filter((code) => code === "auth_unavailable").length, 88);
    assert.equal(togetherMax, 4);
  });

  test("waiting for a turn counts against the time", async (t) => {
    let now = 0;
    const { service, check } = await begin(t, isSilent, { requestsMax: 1, waitingMax: 8, timeoutMs: 200, now: () => now });
    const answers = Promise.all(Array.from({ length: 5 }, () => check(alice)));
    now = 200; // a timer may end a little before its time: then the first's would not be over for the others yet
    const verdicts = await within(10_000, answers, "the verdicts");
    assert.deepEqual(verdicts.map(codeOf), Array.from({ length: 5 }, () => "auth_unavailable"));
    assert.ok(service.asked.length <= 1, "who waited too long is not asked about any more");
  });
});

function endless(response: Parameters<Answer>[0]): void {
  response.writeHead(200);
  const more = (): void => {
    while (!response.destroyed && response.write(Buffer.alloc(16_384, 0x20)));
    if (!response.destroyed) response.once("drain", more);
  };
  more();
}

describe("headersProblem", () => {
  test("finds what would not be one header, and repeats nothing of it", () => {
    assert.equal(headersProblem({ Authorization: "Bearer abc", "x-a": "" }), undefined);
    for (const [name, value] of [["a b", "secret"], ["", "secret"], ["a:", "secret"], ["x", "secret\r\ny: z"], ["x", "secret\nz"], ["é", "secret"], ["x", "secret\u0000"]] as const) {
      const problem = headersProblem({ fine: "1", [name]: value });
      assert.match(problem ?? "", /^header 2 is none/, JSON.stringify([name, value]));
      assert.ok(!problem?.includes("secret"));
    }
  });
});
