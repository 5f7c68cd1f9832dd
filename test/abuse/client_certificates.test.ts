import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { test } from "node:test";
import { runtime } from "#runtime";
import type { ConfigInput } from "../../src/config/schema.ts";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { authority, client as makeClient } from "../transport/certificates/made.ts";
import { frame } from "../transport/websocket/frames.ts";
import { request } from "../transport/websocket/heads.ts";
import { type Rig, startRig } from "./rig.ts";
import { temporaryFolder } from "../support/temporary_folder.ts";

const FILES = "test/fixtures/tls";
const read = (name: string) => readFileSync(`${FILES}/${name}`, "utf8");
const pair = (name: string) => ({ cert: read(`${name}.pem`), key: read(`${name}.key`) });
const STRICT = { cert: `${FILES}/server.pem`, key: `${FILES}/server.key`, ca: `${FILES}/clients/ca.pem` };
const honoursCrl = runtime.capabilities.crl === true;

const LISTENERS: NonNullable<ConfigInput["listeners"]> = [
  { name: "mqtts", listen: "mqtts://127.0.0.1:0", tls: STRICT },
  { name: "wss", listen: "wss://127.0.0.1:0", tls: STRICT },
  { name: "any", listen: "any://127.0.0.1:0", tls: STRICT, accept: ["mqtts", "wss"] },
  { name: "asks", listen: "mqtts://127.0.0.1:0", tls: { ...STRICT, client_certificates: "request" } },
  ...(honoursCrl ? [{ name: "revoking", listen: "mqtts://127.0.0.1:0", tls: { ...STRICT, crl: `${FILES}/clients/crl.pem` } }] : []),
];
const [MQTTS, WSS, ANY, ASKS, REVOKING] = [0, 1, 2, 3, 4] as const;

/** A client over TLS, whatever comes of it: with TLS 1.3 it hears only later that its certificate was not good. */
function open(port: number, options: ConnectionOptions): RawClient {
  const socket = connectTls({ host: "127.0.0.1", port, servername: "localhost", rejectUnauthorized: false, ...options });
  return RawClient.adopt(socket);
}

const start = (scope: TestScope): Promise<Rig> =>
  startRig(scope, {
    configure: () => ({ listeners: LISTENERS }),
    everyLine: true,
    enter: async (rig) => open(rig.port, pair("clients/good")),
  });

/** The first words of a client on this listener. */
const hello = (listener: number) => (listener === WSS ? m.bytes(request(), frame(m.connect(), { key: [9, 8, 7, 6] })) : m.connect());

async function turnedAway(rig: Rig, listener: number, options: ConnectionOptions, reason: string): Promise<void> {
  const [refusals, contacts] = [rig.refusals("handshake_failed"), rig.contacts.length];
  const client = rig.keep(open(rig.portOf(listener), options));
  await client.send(hello(listener)).catch(() => {});
  await client.expectEndWithoutData(2_000).catch((error: Error) => assert.fail(`${reason}: ${error.message}`));
  await client.close();
  const line = await rig.line("client.reject", '"reason":"handshake_failed"');
  assert.match(line, /^[\x20-\x7e]*$/);
  assert.ok(line.includes(reason) || runtime.name === "deno", `${reason}: ${line}`);
  assert.equal(rig.log.length, 1);
  assert.equal(rig.refusals("handshake_failed"), refusals + 1);
  assert.equal(rig.contacts.length, contacts);
  rig.forgetLines();
}

async function letIn(rig: Rig, listener: number, options: ConnectionOptions): Promise<string | undefined> {
  const opens = rig.opens.length;
  const client = rig.keep(open(rig.portOf(listener), options));
  await client.send(hello(listener));
  await until(() => rig.opens.length > opens, 3_000, "a session").catch((error: Error) => assert.fail(`${error.message}: ${rig.log.join("\n")}`));
  await client.close();
  await rig.line("client.close");
  rig.forgetLines();
  return rig.opens.at(-1)?.tls?.certificate?.commonName;
}

const bad: readonly (readonly [what: string, options: ConnectionOptions, reason: string])[] = [
  ["none", {}, "gave no certificate"],
  ["expired", pair("clients/expired"), "has expired"],
  ["not yet valid", pair("clients/not_yet_valid"), "is not valid yet"],
  ["of another authority", pair("server"), "unknown authority"],
  ["self-signed", pair("self_signed"), "not signed by a trusted authority"],
  ["made for servers", pair("clients/server_only"), "not made for this side"],
];

for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
  test(`T5: only a good certificate passes where one is required, whatever the way in (${maxVersion})`, async (t) => {
    const rig = await start(t);
    for (const listener of [MQTTS, WSS, ANY]) {
      for (const [, options, reason] of bad) await turnedAway(rig, listener, { ...options, maxVersion }, reason);
      for (const name of ["good", "chained"]) assert.equal(await letIn(rig, listener, { ...pair(`clients/${name}`), maxVersion }), name);
    }
    await rig.settled();
  });

  test(`T5: where one is only asked for, none is fine and a bad one is not (${maxVersion})`, async (t) => {
    const rig = await start(t);
    for (const [, options, reason] of bad.slice(1)) await turnedAway(rig, ASKS, { ...options, maxVersion }, reason);
    assert.equal(await letIn(rig, ASKS, { maxVersion }), undefined);
    assert.equal(await letIn(rig, ASKS, { ...pair("clients/good"), maxVersion }), "good");
    await rig.settled();
  });

  test(`T5: a revoked certificate is refused (${maxVersion})`, honoursCrl ? {} : { skip: "this runtime honours no revocation lists, and the configuration is refused" }, async (t) => {
    const rig = await start(t);
    await turnedAway(rig, REVOKING, { ...pair("clients/revoked"), maxVersion }, "was revoked");
    assert.equal(await letIn(rig, REVOKING, { ...pair("clients/good"), maxVersion }), "good");
    assert.equal(await letIn(rig, MQTTS, { ...pair("clients/revoked"), maxVersion }), "revoked");
    await rig.settled();
  });
}

test("T5: a chain of a megabyte ends in a refusal or a session, not in anything else", async (t) => {
  const rig = await start(t);

  await rig.canary();
  await rig.markBase();
  const good = pair("clients/good");
  for (const copies of [9, 100, 2_000]) {
    const cert = `${good.cert}\n${Array.from({ length: copies }, () => read("clients/ca.pem")).join("\n")}`;
    const client = rig.keep(open(rig.portOf(MQTTS), { cert, key: good.key }));
    const opens = rig.opens.length;
    await client.send(m.connect()).catch(() => {});
    await until(() => rig.opens.length > opens || client.ending !== "open", 5_000, `an outcome with ${copies} certificates`);
    await client.close();
  }
  await rig.canary();
  await rig.settled();
});

test("T6, I1: a common name with line breaks, a NUL or an escape sequence is no name, and one with # and + is what it is", async (t) => {
  // Signed by an authority of this test: the fixtures' key is not kept.
  const ca = await authority({ commonName: "Odd names" });
  const folder = temporaryFolder(t);
  writeFileSync(`${folder}/ca.pem`, ca.cert);
  const rig = await startRig(t, {
    configure: () => ({ listeners: [{ listen: "mqtts://127.0.0.1:0", tls: { ...STRICT, ca: `${folder}/ca.pem` } }] }),
    everyLine: true,
  });
  const names: readonly (readonly [given: string, read: string | undefined])[] = [
    ["#/+/../%c ${clientid} sensor", "#/+/../%c ${clientid} sensor"],
    ["sensor\r\nX-Allow: 1", undefined],
    ["admin\0.evil", undefined],
    ["\x1b[31mred", undefined],
    ["Zähler 7", "Zähler 7"],
    ["turned\u202earound", "turned\u202earound"],
  ];
  for (const [given, expected] of names) {
    const { cert, key } = await makeClient(ca, given);
    const client = rig.keep(open(rig.port, { cert, key }));
    await client.send(m.connect());
    await client.expect(m.connack());
    await client.close();
    assert.equal(rig.opens.at(-1)?.tls?.certificate?.commonName, expected);
    const line = await rig.line("client.open", "tls.client.fingerprint");
    assert.doesNotMatch(line, /[\p{Cc}\u202e]|\\u|\\[nr]|X-Allow|evil/u);
    rig.forgetLines();
  }
  await rig.settled();
});
