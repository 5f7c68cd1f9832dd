import assert from "node:assert/strict";
import { test } from "node:test";
import { Child } from "../support/child.ts";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { needs } from "../support/needs.ts";
import type { TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { Relay } from "./relay.ts";
import { type Rig, startRig } from "./rig.ts";
import { temporaryFolder } from "../support/temporary_folder.ts";

const FILES = "test/fixtures/tls";
const SERVER = { cert: `${FILES}/server.pem`, key: `${FILES}/server.key` };
const CLIENTS = { ca: `${FILES}/clients/ca.pem` };
const GOOD = ["-cert", `${FILES}/clients/good.pem`, "-key", `${FILES}/clients/good.key`];

/** Two owners behind one port: one asks for client certificates, the other does not. Their certificates are even the same. */
const startTwoOwners = (scope: TestScope): Promise<Rig> =>
  startRig(scope, {
    brokers: [{}, {}],
    configure: ([lenient, strict]) => ({
      listeners: [{ listen: "mqtts://127.0.0.1:0", tls: { ...SERVER, certificates: [{ ...SERVER, ...CLIENTS, names: ["strict.example"] }, { ...SERVER, names: ["lenient.example"] }] } }],
      routes: [{ sni: ["strict.example"], pool: "strict" }],
      pools: { default: { brokers: [lenient as string] }, strict: { brokers: [strict as string] } },
    }),
    everyLine: true,
    enter: (rig) => RawClient.open({ port: rig.port, tls: {} }),
  });

interface Visit {
  readonly served: boolean;
  readonly reused: boolean;
}

/** An openssl client: says CONNECT, and stays until it is answered or sent away. */
async function visit(rig: Rig, options: { name: string; version: string; words?: readonly string[]; keeps?: string }): Promise<Visit> {
  const { name, version, words = [], keeps } = options;
  const child = await Child.start(["openssl", "s_client", "-connect", `127.0.0.1:${rig.port}`, "-servername", name, version, ...(keeps === undefined ? [] : ["-sess_out", keeps]), ...words]);
  const opens = rig.opens.length;
  child.write(m.connect({ clientId: name }));
  // With TLS 1.3 the tickets come before the CONNACK.
  await until(() => rig.opens.length > opens || child.exit !== undefined, 5_000, `an outcome for ${name}`);
  if (child.exit === undefined) await child.waitFor(({ stdout }) => (stdout.includes("\x02\0\0") ? true : undefined), 5_000, "CONNACK");
  const served = rig.opens.length > opens;
  child.closeInput();
  await child.ended(5_000);
  return { served, reused: /^Reused, /m.test(child.stdout) };
}

for (const version of ["-tls1_2", "-tls1_3"]) {
  test(`T7, CVE-2025-23419: a session that began without a certificate opens no door that asks for one (${version})`, needs("openssl"), async (t) => {
    const rig = await startTwoOwners(t);
    const folder = temporaryFolder(t);
    const [lenient, strict] = [`${folder}/lenient`, `${folder}/strict`];
    assert.equal((await visit(rig, { name: "lenient.example", version, keeps: lenient })).served, true);
    const from = (file: string) => ["-sess_in", file];
    assert.deepEqual(await visit(rig, { name: "lenient.example", version, words: from(lenient) }), { served: true, reused: true });
    assert.deepEqual((await visit(rig, { name: "strict.example", version, words: from(lenient) })).served, false);
    assert.equal(rig.brokers[1]?.connections.length, 0);
    assert.equal((await visit(rig, { name: "nobody.example", version, words: from(lenient) })).served, true);

    assert.equal((await visit(rig, { name: "strict.example", version, words: GOOD, keeps: strict })).served, true);
    assert.equal(rig.opens.at(-1)?.tls?.certificate?.commonName, "good");
    assert.equal(rig.opens.at(-1)?.pool, "strict");
    // In a session that was resumed the certificate is the one with which it began.
    assert.deepEqual(await visit(rig, { name: "strict.example", version, words: from(strict) }), { served: true, reused: true });
    assert.equal(rig.opens.at(-1)?.tls?.certificate?.commonName, "good");
    // What the other owner's clients have shown is nothing to this one.
    const other = await visit(rig, { name: "lenient.example", version, words: from(strict) });
    assert.deepEqual([other.served, rig.opens.at(-1)?.tls?.certificate], [true, undefined]);
    await rig.settled();
  });
}

/** An openssl client in a session that never ends by itself. */
async function openssl(rig: Rig, ...words: readonly string[]): Promise<Child> {
  const child = await Child.start(["openssl", "s_client", "-connect", `127.0.0.1:${rig.port}`, "-servername", "localhost", ...words]);
  child.write(m.connect({ keepAliveSeconds: 0 }));
  await child.waitFor(({ stdout }) => (stdout.includes("\x02\0\0") ? true : undefined), 5_000, "CONNACK");
  return child;
}

test("T8: no early data is ever offered", needs("openssl"), async (t) => {
  const rig = await startRig(t, { tls: true });
  const child = await openssl(rig, "-tls1_3");
  child.closeInput();
  await child.ended(5_000);
  const told = [...child.stdout.matchAll(/Max Early Data: (\d+)/g)].map(([, bytes]) => bytes);
  assert.ok(told.length > 0 && told.every((bytes) => bytes === "0"), told.join(", "));
  await rig.settled();
});

test("T9: renegotiation is refused, and a client that changes its keys again and again is served or sent away", needs("openssl"), async (t) => {
  const rig = await startRig(t, { tls: true });
  await rig.canary();
  await rig.markBase();
  const again = await openssl(rig, "-tls1_2", "-legacy_renegotiation");
  again.write("R\n");
  await again.ended(5_000);
  assert.match(again.stderr, /no renegotiation/);
  const changing = await openssl(rig, "-tls1_3");
  for (let count = 0; count < 50 && changing.exit === undefined; count++) {
    changing.write("K\n");
    await changing.waitFor(({ stderr, exit }) => (stderr.split("KEYUPDATE").length > count + 1 || exit !== undefined ? true : undefined), 5_000, "a change of keys");
  }
  await rig.canary();
  changing.closeInput();
  await changing.ended(5_000);
  await rig.settled();
});

const ends: readonly (readonly [what: string, end: (way: RawClient) => void])[] = [
  ["a FIN without close_notify", (way) => way.end()],
  ["RST", (way) => way.reset()],
  ["half a record, and a FIN", (way) => way.socket.end(m.hex("17 03 03 40 00 11 22"))],
];
const garbage: typeof ends = [
  ["bytes that are no TLS", (way) => way.socket.write(m.bytes(m.disconnect(), new Uint8Array(100)))],
  ["an alert in the clear", (way) => way.socket.write(m.hex("15 03 03 00 02 02 28"))],
  ["a record that nobody has encrypted", (way) => way.socket.write(m.bytes(m.hex("17 03 03 00 20"), new Uint8Array(32)))],
];

test("T12: TLS that ends without close_notify is an end without DISCONNECT: what came before it reaches the broker, and nothing is made up", async (t) => {
  const rig = await startRig(t, { tls: true, limits: { stall_timeout: "1s" } });
  const relay = await Relay.start(t, rig.port);
  await rig.canary();
  await rig.markBase();
  for (const [what, end] of [...ends, ...garbage]) {
    const index = rig.broker.connections.length;
    const client = rig.keep(await RawClient.open({ port: relay.port, tls: {} }));
    const said = m.bytes(m.connect({ keepAliveSeconds: 0 }), m.publish());
    await client.send(said);
    await client.expect(m.connack());
    const broker = await rig.broker.connection(index);
    await broker.untilReceived(said.length);
    end(relay.ways.at(-1) as RawClient);
    await broker.untilEnded(4_000).catch((error: Error) => assert.fail(`${what}: ${error.message}`));
    assert.deepEqual(broker.received, said, what);
    await client.close();
  }
  await rig.canary();
  await rig.settled();
});

test("T12: what follows close_notify is nobody's", async (t) => {
  const rig = await startRig(t, { tls: true, limits: { stall_timeout: "1s" } });
  const relay = await Relay.start(t, rig.port);
  await rig.canary();
  await rig.markBase();
  const index = rig.broker.connections.length;
  const client = rig.keep(await RawClient.open({ port: relay.port, tls: {} }));
  await client.send(m.connect({ keepAliveSeconds: 0 }));
  await client.expect(m.connack());
  const broker = await rig.broker.connection(index);
  const way = relay.ways[0] as RawClient;
  way.socket.end = () => way.socket; // the client's FIN is not passed on
  client.end();
  way.socket.write(new Uint8Array(50_000).fill(0x30));
  await broker.untilEnded(4_000);
  assert.deepEqual(broker.received, m.connect({ keepAliveSeconds: 0 }));
  await client.close();
  await rig.canary();
  await rig.settled();
});
