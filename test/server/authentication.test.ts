import assert from "node:assert/strict";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { describe, test } from "node:test";
import { runtime } from "#runtime";
import type { ConfigInput } from "../../src/config/schema.ts";
import type { FaultCode } from "../../src/mqtt/fault.ts";
import { hashPassword } from "../../src/policy/authentication/hash_password.ts";
import { passwordHashText } from "../../src/policy/authentication/password_hash.ts";
import { type BrokerConnection, hexOf } from "../abuse/recording_broker.ts";
import { startRig, type Rig } from "../abuse/rig.ts";
import { temporaryFolder } from "../support/temporary_folder.ts";
import { isSilent, says, Service, type Answer } from "../policy/authentication/service.ts";
import { Signer, unsignedToken } from "../policy/authentication/tokens.ts";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";

type Authentication = NonNullable<ConfigInput["authentication"]>;

const TLS = "test/fixtures/tls";
const CHEAP = { scheme: "sha512-pbkdf2", iterations: 1 } as const;
const encoder = new TextEncoder();

async function passwordLines(passwords: Record<string, string>): Promise<string> {
  const lines = Object.entries(passwords).map(async ([name, password]) => `${name}:${passwordHashText(await hashPassword(encoder.encode(password), CHEAP))}\n`);
  return (await Promise.all(lines)).join("");
}

/** A password file that is gone with the test. */
async function passwordFile(t: TestScope, passwords: Record<string, string> = { alice: "secret-of-alice" }): Promise<string> {
  const file = join(temporaryFolder(t), "users");
  writeFileSync(file, await passwordLines(passwords));
  return file;
}

function startGate(t: TestScope, authentication: Authentication, more: Partial<ConfigInput> = {}): Promise<Rig> {
  return startRig(t, { everyLine: true, configure: () => ({ authentication, ...more }) });
}

const CODES = { ok: [0, 0], bad: [4, 0x86], not: [5, 0x87], banned: [5, 0x8a], down: [3, 0x88] } as const;

/** What the client is told, in 3.1.1 and 5; whether it is let in, that it is closed otherwise. */
async function judge(rig: Rig, fields: m.ConnectFields, expected: keyof typeof CODES, versions: readonly m.Version[] = [4, 5]): Promise<void> {
  for (const version of versions) {
    const contacts = rig.contacts.length;
    const client = await rig.open();
    await client.send(m.connect({ ...fields, version }));
    const { type, body } = await client.takePacket();
    assert.deepEqual([type, body[1]], [2, CODES[expected][version === 5 ? 1 : 0]], `CONNACK for ${expected} in version ${version}`);
    if (expected !== "ok") await client.expectEndWithoutData();
    assert.equal(rig.contacts.length - contacts, expected === "ok" ? 1 : 0, "who is refused reaches no broker");
    await client.close();
  }
}

/** A refusal is counted when its connection is gone. */
const refusedSoFar = (rig: Rig, code: FaultCode, count: number) => until(() => rig.refusals(code) === count, 5_000, `${count} refusals for ${code}`);

const users = (file: string) => ({ type: "password_file", file }) as const;
const alice = { username: "alice", password: "secret-of-alice" };

describe("a password file", () => {
  test("A1: who has the password comes in, and CONNACK tells the others why not", async (t) => {
    const rig = await startGate(t, { checks: [users(await passwordFile(t))] });
    await judge(rig, alice, "ok");
    await judge(rig, { username: "alice", password: "wrong" }, "bad");
    await judge(rig, { username: "alice", password: "" }, "bad");
    await judge(rig, { username: "alice" }, "bad");
    await judge(rig, { username: "bob", password: "secret-of-alice" }, "bad");
    await judge(rig, { username: "", password: "" }, "bad");
    await judge(rig, { password: "secret-of-alice" }, "bad", [5]);
    await judge(rig, {}, "not");
    await refusedSoFar(rig, "bad_credentials", 11);
    await refusedSoFar(rig, "not_authorized", 2);
    await rig.settled();
  });

  test("anonymous = true lets in who shows nothing, and nobody who shows something wrong", async (t) => {
    const rig = await startGate(t, { anonymous: true, checks: [users(await passwordFile(t))] });
    await judge(rig, {}, "ok");
    await judge(rig, alice, "ok");
    await judge(rig, { username: "alice" }, "bad");
    await judge(rig, { username: "alice", password: "wrong" }, "bad");
    await judge(rig, { username: "" }, "bad");
  });

  test("A2: names are compared as they are", async (t) => {
    const rig = await startGate(t, { checks: [users(await passwordFile(t))] });
    for (const username of ["#", "+", "/", "..", "%", "$", ".*", "alic?", "*", "Alice", "alice ", " alice", "alicе", "__proto__", "constructor"]) {
      await judge(rig, { username, password: "secret-of-alice" }, "bad", [4]);
    }
  });

  test("A10: the log says who came in and why somebody did not, and no password", async (t) => {
    const rig = await startGate(t, { checks: [users(await passwordFile(t))] });
    await judge(rig, alice, "ok", [4]);
    await judge(rig, { username: "alice", password: "wrong-password" }, "bad", [4]);
    await judge(rig, { username: "token-as-name", password: "wrong-password" }, "bad", [4]);
    await rig.line("client.open", '"username":"alice"');
    await rig.line("client.close", '"username":"alice"');
    await rig.line("client.reject", "password_file: wrong password", '"reason":"bad_credentials"', '"blame":"client"');
    await rig.line("client.reject", "nobody knows these credentials");
    for (const secret of ["secret-of-alice", "wrong-password", "token-as-name"]) assert.ok(!rig.log.join("\n").includes(secret), secret);
  });

  test("one that is replaced counts within seconds, one that is broken changes nothing", async (t) => {
    const file = await passwordFile(t);
    const rig = await startGate(t, { checks: [users(file)] });
    const replace = (text: string) => {
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    };
    await judge(rig, alice, "ok", [4]);
    replace("alice:no hash\n");
    assert.match(await rig.line('"level":"error"', "what changed on disk is not used"), /line 1: /);
    await judge(rig, alice, "ok", [4]);
    replace(await passwordLines({ alice: "another", bob: "secret-of-bob" }));
    await rig.line('"level":"info"', "clients are checked with what changed");
    await judge(rig, alice, "bad", [4]);
    await judge(rig, { username: "alice", password: "another" }, "ok", [4]);
    await judge(rig, { username: "bob", password: "secret-of-bob" }, "ok", [4]);
    await rig.settled();
  });

  test("one that is broken from the start keeps every listener shut", async (t) => {
    const file = join(temporaryFolder(t), "users");
    writeFileSync(file, "alice\n");
    await assert.rejects(startGate(t, { checks: [users(file)] }), /line 1: there is no colon/);
  });

  test("A9: the verdict is the same behind TLS", async (t) => {
    const checks = [users(await passwordFile(t))];
    const rig = await startRig(t, { tls: true, configure: () => ({ authentication: { checks } }) });
    await judge(rig, alice, "ok");
    await judge(rig, { username: "alice", password: "wrong" }, "bad");
    await judge(rig, {}, "not");
  });

  test("listeners that are not named let everybody in", async (t) => {
    const authentication = { listeners: "guarded", checks: [users(await passwordFile(t))] };
    const rig = await startGate(t, authentication, { listeners: [{ name: "guarded", listen: "mqtt://127.0.0.1:0" }, { name: "open", listen: "mqtt://127.0.0.1:0" }] });
    await judge(rig, {}, "not");
    const client = await rig.knock(1);
    await client.send(m.connect());
    await client.expect(m.connack());
  });
});

/** A service that answers when the test says so. */
async function slowService(t: TestScope): Promise<{ readonly service: Service; readonly answer: (answer: Answer) => void; readonly asked: (count: number) => Promise<void> }> {
  const waiting: Parameters<Answer>[] = [];
  const service = await Service.start(t, (...call) => void waiting.push(call));
  return {
    service,
    answer: (answer) => {
      for (const call of waiting.splice(0)) answer(...call);
    },
    asked: (count) => until(() => service.asked.length >= count, 5_000, `${count} questions`),
  };
}

const http = (service: Service) => ({ type: "http", url: service.url.href }) as const;

describe("a service that is asked", () => {
  test("decides, with the client's words in the body", async (t) => {
    const service = await Service.start(t, (response, asked) => {
      const { username } = JSON.parse(asked.body) as { username: string };
      ({ yes: says(200, { result: "allow" }), no: says(200, { result: "deny" }), wrong: says(401), away: says(403), empty: says(204) }[username] ?? says(500))(response, asked);
    });
    const rig = await startGate(t, { checks: [http(service)] });
    const password = "p";
    await judge(rig, { username: "yes", password }, "ok");
    await judge(rig, { username: "empty", password }, "ok");
    await judge(rig, { username: "no", password }, "not");
    await judge(rig, { username: "wrong", password }, "bad");
    await judge(rig, { username: "away", password }, "not");
    await judge(rig, { username: "ill", password }, "down");
    assert.deepEqual(JSON.parse(service.asked[0]!.body), { client_id: "test-client", username: "yes", password: "p", address: "127.0.0.1", listener: rig.proxy.addresses[0]?.name, certificate: null });
    await rig.settled();
  });

  test("is not asked again about whom it let in, for as long as that is kept; not even when it is down", async (t) => {
    const service = await Service.start(t, says(204));
    const rig = await startGate(t, { checks: [{ ...http(service), cache: "1h" }] });
    await judge(rig, alice, "ok", [4]);
    service.answer = says(500);
    await judge(rig, alice, "ok", [5]);
    await judge(rig, { ...alice, clientId: "another" }, "down", [5]);
    assert.equal(service.asked.length, 2);
  });

  test("A3: what is no clear answer keeps the client out: silence, redirects, nonsense, the wrong case, too much", async (t) => {
    const service = await Service.start(t, isSilent);
    const rig = await startGate(t, { checks: [{ ...http(service), timeout: "200ms" }] });
    const redirect: Answer = (response) => response.writeHead(302, { location: "/" }).end();
    for (const answer of [isSilent, redirect, says(200, "{"), says(200, { result: "ALLOW" }), says(200, "allow"), says(200, `{"result":"allow","x":"${"x".repeat(70_000)}"}`)]) {
      service.answer = answer;
      await judge(rig, alice, "down", [5]);
    }
    await refusedSoFar(rig, "auth_unavailable", 6);
    assert.match(await rig.line("client.reject", "auth_unavailable"), /"blame":"operator"/);
  });

  test("A4: no broker hears of a client before the verdict; what it sends meanwhile follows its CONNECT", async (t) => {
    const { service, answer, asked } = await slowService(t);
    const rig = await startGate(t, { checks: [http(service)] });
    const client = await rig.open();
    const said = [m.connect(alice), m.publish({ qos: 1, packetId: 1 }), m.publish({ qos: 1, packetId: 2 })];
    await client.send(m.bytes(...said));
    await asked(1);
    assert.equal(rig.contacts.length, 0);
    answer(says(204));
    await client.expect(m.bytes(m.connack(), m.puback(1), m.puback(2)));
    assert.equal(hexOf((rig.contacts[0] as BrokerConnection).received), hexOf(m.bytes(...said)));
    await rig.settled();
  });

  test("A4: a refusal drops what came behind the CONNECT, one byte at a time or at once", async (t) => {
    const { service, answer, asked } = await slowService(t);
    const rig = await startGate(t, { checks: [http(service)] });
    const said = m.bytes(m.connect(alice), m.publish({ topic: "smuggled" }), m.publish({ topic: "as well" }));
    const atOnce = await rig.open();
    await atOnce.send(said);
    const slowly = await rig.open();
    await slowly.sendByteByByte(said, 0);
    await asked(2);
    answer(says(403));
    for (const client of [atOnce, slowly]) {
      await client.expect(m.hex("20 02 00 05"));
      await client.expectEndWithoutData();
    }
    assert.equal(rig.contacts.length, 0);
    await rig.settled();
  });

  test("A5: a second CONNECT before the verdict on the first is the end of both", async (t) => {
    const { service, answer, asked } = await slowService(t);
    const rig = await startGate(t, { checks: [http(service)] });
    const client = await rig.open();
    await client.send(m.bytes(m.connect({ ...alice, version: 5 }), m.connect({ username: "root", version: 5 })));
    await client.expect(m.hex("20 03 00 82 00"));
    await client.expectEndWithoutData();
    await asked(1);
    answer(says(204));
    await refusedSoFar(rig, "protocol_error", 1);
    assert.equal(rig.contacts.length, 0);
    await rig.settled();
  });

  test("A4: a verdict for a client that has left reaches nobody else", async (t) => {
    const { service, answer, asked } = await slowService(t);
    const rig = await startGate(t, { checks: [http(service)] });
    const gone = await rig.open();
    await gone.send(m.connect({ ...alice, clientId: "gone" }));
    await asked(1);
    gone.reset();
    await until(() => rig.proxy.sessionCount === 0, 5_000, "the session to end");
    answer(says(204));
    const client = await rig.open();
    await client.send(m.connect({ ...alice, clientId: "here" }));
    await asked(2);
    answer(says(204));
    await client.expect(m.connack());
    assert.deepEqual(rig.contacts.map(({ clientId }) => clientId), ["here"]);
    await rig.settled();
  });

  test("a verdict that does not come is bounded by answer_timeout", async (t) => {
    const service = await Service.start(t, isSilent);
    const rig = await startGate(t, { checks: [{ ...http(service), timeout: "1h" }] }, { limits: { answer_timeout: "300ms", drain_timeout: "1s" } });
    await judge(rig, alice, "down");
    await refusedSoFar(rig, "decision_timeout", 2);
  });
});

describe("several checks", () => {
  test("the first that has something to say decides, and its name for the client counts in routes and in the log", async (t) => {
    const service = await Service.start(t, (response, asked) =>
      says(200, (JSON.parse(asked.body) as { username: string }).username === "guest" ? { result: "allow", username: "renamed" } : { result: "ignore" })(response, asked));
    const routes: ConfigInput["routes"] = [{ name: "for the renamed", username: "renamed", refuse: "server_busy" }, { username: "guest", refuse: "client_id_rejected" }];
    const rig = await startGate(t, { checks: [users(await passwordFile(t)), http(service)] }, { routes });
    await judge(rig, alice, "ok");
    assert.equal(service.asked.length, 0, "who stands in the file is nobody else's business");
    await judge(rig, { username: "alice", password: "wrong" }, "bad");
    await judge(rig, { username: "nobody", password: "x" }, "bad");
    assert.equal(service.asked.length, 2);
    const client = await rig.open();
    await client.send(m.connect({ username: "guest", password: "x" }));
    await client.expect(m.hex("20 02 00 03"));
    await rig.line("client.reject", '"username":"renamed"', '"route":"for the renamed"');
    await rig.settled();
  });
});

describe("a certificate", () => {
  const SERVER = { cert: `${TLS}/server.pem`, key: `${TLS}/server.key`, ca: `${TLS}/clients/ca.pem`, client_certificates: "request" } as const;
  const good = { cert: readFileSync(`${TLS}/clients/good.pem`), key: readFileSync(`${TLS}/clients/good.key`) };
  const openTls = (port: number, options: ConnectionOptions) => RawClient.adopt(connectTls({ host: "127.0.0.1", port, servername: "localhost", rejectUnauthorized: false, ...options }));

  test("its name is the user name, whatever CONNECT says; who shows none is left to the next check", async (t) => {
    const rig = await startGate(
      t,
      { checks: [{ type: "certificate" }, users(await passwordFile(t))] },
      { listeners: [{ listen: "mqtts://127.0.0.1:0", tls: SERVER }] },
    );
    const told = async (options: ConnectionOptions, fields: m.ConnectFields) => {
      const client = rig.keep(openTls(rig.port, options));
      await client.send(m.connect(fields));
      return (await client.takePacket()).body[1];
    };
    assert.equal(await told(good, { username: "root" }), 0);
    const line = JSON.parse(await rig.line("client.open")) as Record<string, string>;
    assert.equal(line["username"], line["tls.client.common_name"]);
    assert.notEqual(line["username"], "root");
    assert.equal(await told({}, {}), 5);
    assert.equal(await told({}, { username: "root" }), 4);
    assert.equal(await told({}, alice), 0);
    await rig.settled();
  });
});

describe("a token", () => {
  test("A8: comes in with the name that it says; unsigned, expired, of another issuer or key: it does not", async (t) => {
    const [signer, stranger] = [new Signer("ES256"), new Signer("ES256")];
    const file = join(temporaryFolder(t), "key.pem");
    writeFileSync(file, signer.pem);
    const rig = await startGate(t, { checks: [{ type: "jwt", keys_file: file, issuer: "us", leeway: "1ms" }] });
    const seconds = Math.floor(runtime.system.wallClock() / 1_000);
    const claims = { sub: "sensor", iss: "us", exp: seconds + 3_600 };
    const username = "whoever";
    await judge(rig, { username, password: signer.token(claims) }, "ok");
    await rig.line("client.open", '"username":"sensor"');
    const wrong = [
      unsignedToken(claims, "none"), stranger.token(claims), signer.token({ ...claims, exp: seconds - 10 }), signer.token({ ...claims, iss: "them" }),
      signer.token({ ...claims, nbf: seconds + 600 }), signer.token({ sub: "sensor", iss: "us" }), `${signer.token(claims)}${"A".repeat(17_000)}`,
    ];
    for (const password of wrong) await judge(rig, { username, password }, "bad", [5]);
  });

  test("its key may be fetched, once for many; while there is none nobody comes in", async (t) => {
    const signer = new Signer("ES256");
    const service = await Service.start(t, says(200, { keys: [signer.jwk] }));
    const checks = [{ type: "jwt", keys_url: service.url.href, token_in: "username", username_claim: "device" }] as const;
    const [up, down] = [await startGate(t, { checks: [...checks] }), await startGate(t, { checks: [...checks] })];
    const exp = Math.floor(runtime.system.wallClock() / 1_000) + 3_600;
    const username = signer.token({ device: "sensor", exp });
    for (let client = 0; client < 3; client++) await judge(up, { username }, "ok");
    assert.equal(service.asked.length, 1);
    await judge(up, { username: signer.token({ sub: "sensor", exp }) }, "not");
    service.answer = says(500);
    await judge(down, { username }, "down");
    assert.ok(![...up.log, ...down.log].join("").includes(username), "a token is a secret");
  });

  test("the session ends when the token no longer lets anybody in", async (t) => {
    const signer = new Signer("EdDSA");
    const file = join(temporaryFolder(t), "key.pem");
    writeFileSync(file, signer.pem);
    const rig = await startGate(t, { checks: [{ type: "jwt", keys_file: file, leeway: "2s" }] });
    const exp = Math.ceil(runtime.system.wallClock() / 1_000);
    const password = signer.token({ sub: "sensor", exp });
    const [three, five] = [await rig.session({ username: "x", password }), await rig.session({ version: 5, username: "x", password })];
    await five.client.expect(m.hex("e0 02 87 00"));
    for (const { client } of [three, five]) await client.expectEndWithoutData();
    assert.ok(runtime.system.wallClock() >= exp * 1_000 + 2_000, "not before the leeway is over");
    await until(() => rig.ends.length === 2, 5_000, "both ends");
    assert.deepEqual(rig.ends.map(({ reason }) => reason), ["not_authorized", "not_authorized"]);
    await rig.settled();
  });
});

describe("bans", () => {
  test("A7: so many failures ban an address, also for who knows the password", async (t) => {
    const rig = await startGate(t, { checks: [users(await passwordFile(t))], bans: { failures_max: 3 } });
    await judge(rig, alice, "ok");
    for (let failure = 0; failure < 3; failure++) await judge(rig, { username: "alice", password: `guess ${failure}` }, "bad", [4]);
    await judge(rig, alice, "banned");
    await rig.line('"level":"warn"', "127.0.0.1 is banned for 600 s: too many failures");
    await refusedSoFar(rig, "banned", 2);
  });

  test("by user name, client id and network, without any check", async (t) => {
    const rig = await startGate(t, { bans: { usernames: "root*", client_ids: "evil-?", addresses: "192.0.2.0/24" } });
    await judge(rig, { username: "root-2" }, "banned");
    await judge(rig, { clientId: "evil-1" }, "banned");
    await judge(rig, { username: "a-name-that-nobody-checked" }, "ok");
    assert.ok(!rig.log.join("").includes("nobody-checked"));
    const elsewhere = await startGate(t, { bans: { addresses: "127.0.0.0/8" } });
    await judge(elsewhere, alice, "banned");
  });
});
