import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigInput } from "../../src/config/schema.ts";
import * as m from "../support/mqtt_bytes.ts";
import { chooseSeed, seeded, type SeededRandom } from "../support/seed.ts";
import * as header from "../transport/proxy_protocol/header_bytes.ts";
import { alpn, helloMessage, records, serverName } from "../transport/tls_hello/hello_bytes.ts";
import { frame } from "../transport/websocket/frames.ts";
import { request } from "../transport/websocket/heads.ts";
import { ArrivalWorld, type Visitor } from "./arrival_world.ts";

type Listener = NonNullable<ConfigInput["listeners"]>[number];

const PAIR = { cert: "c.pem", key: "k.pem" };
const FROM = ["10.0.0.0/8"];
const LISTENERS: readonly Listener[] = [
  { listen: "mqtt://:1" },
  { listen: "mqtt://:1", proxy_protocol: { from: FROM, mode: "required" } },
  { listen: "mqtts://:1", tls: PAIR, proxy_protocol: { from: FROM, mode: "optional" } },
  { listen: "mqtts://:1", tls: "passthrough", proxy_protocol: { from: FROM, mode: "required" } },
  { listen: "ws://:1" },
  { listen: "wss://:1", tls: PAIR },
  { listen: "any://:1", tls: PAIR },
  { listen: "any://:1", tls: PAIR, accept: ["mqtt", "wss"], proxy_protocol: { from: FROM, mode: "optional" } },
  { listen: "any://:1", tls: "passthrough", accept: ["mqtt", "mqtts"] },
];

const HELLO = records(helloMessage({ extensions: [serverName("a.example"), alpn("mqtt")] }));
const PIECES: readonly Uint8Array[] = [
  m.bytes("PROXY TCP4 192.0.2.1 198.51.100.2 50000 8883\r\n"),
  m.bytes("PROXY UNKNOWN\r\n"),
  header.version2(header.PROXY, header.TCP4, header.ENDS4),
  header.version2(header.LOCAL, 0),
  HELLO,
  HELLO.subarray(0, 20),
  request(),
  request({}, "GET / HTTP/1.1"),
  m.connect(),
  m.hex("c0 00"),
  frame(m.connect(), { key: [1, 2, 3, 4] }),
  frame("", { opcode: 8, key: [1, 2, 3, 4] }),
];

/** Mostly what some listener wants to hear first. */
function begin({ connections }: Visitor, random: SeededRandom): void {
  const headers = PIECES.slice(0, 4);
  if (random.chance(0.8)) connections[0]!.peerSend(m.bytes(random.chance(0.5) ? random.pick(headers) : [], random.pick([HELLO, request(), m.connect()])));
}

/** What a client says, does or suffers next. */
function act({ connections }: Visitor, random: SeededRandom): void {
  const connection = connections.at(-1)!;
  const choice = random.integer(0, 99);
  if (choice < 70) connection.peerSend(random.pick(PIECES));
  else if (choice < 80) connection.peerSend(random.bytes(random.integer(1, 30)));
  else if (choice < 84) connection.peerSend(m.bytes(random.pick(PIECES), random.pick(PIECES), random.pick(PIECES)));
  else if (choice < 88) connection.peerReads(random.chance(0.5));
  else if (choice < 92) connection.peerEnd();
  else if (choice < 96) connection.peerReset();
}

const ENDS = ["session", "tunnel"];

function checkVisitor(world: ArrivalWorld, { address, outcomes, origins }: Visitor): void {
  const { config, accept } = world.entrance;
  const isTrusted = address.startsWith("10.");
  assert.ok(outcomes.length <= 1, `more than one outcome: ${outcomes.join(", ")}`);
  if (config.proxyProtocol?.mode === "required" && !isTrusted) assert.ok(!ENDS.includes(outcomes[0] ?? ""), "a stranger passed a listener that wants a PROXY header");
  for (const origin of origins) {
    assert.ok(accept.includes(origin.transport), `${origin.transport} passed a listener for ${accept.join(", ")}`);
    assert.equal(origin.proxyAddress, origin.address === address ? undefined : address);
    if (origin.address !== address) assert.ok(isTrusted && config.proxyProtocol !== undefined, "an address was believed");
    if (origin.transport === "mqtts" || origin.transport === "wss") assert.ok(origin.tls !== undefined, "TLS without TLS");
  }
}

function run(random: SeededRandom, listener: Listener): void {
  const world = new ArrivalWorld(random, listener);
  for (let step = 0; step < 60; step++) {
    world.time.runUntil(world.time.now + random.pick([1, 10, 100, 500]));
    if (world.visitors.length < 30 && random.chance(0.6)) begin(world.visit(random.pick(["10.0.0.9", "192.0.2.7", "::1", ""])), random);
    for (const visitor of world.visitors) if (random.chance(0.1)) act(visitor, random);
  }
  if (random.chance(0.5)) world.abandonAll();
  // The longest way: a PROXY header, a handshake, a refusal to be read, then CONNECT and its own refusal.
  world.time.runUntil(world.time.now + 20_000);
  world.assertNothingLeft();
  for (const visitor of world.visitors) checkVisitor(world, visitor);
}

const first = chooseSeed();
const seeds = process.env["SLUICE_SEED"] === undefined ? 24 : 1;

for (const listener of LISTENERS) {
  test(`Arrival: whatever comes to ${JSON.stringify(listener)}, each ends once and nothing is left, ${seeds} seeds (first ${first})`, async () => {
    for (let index = 0; index < seeds; index++) await seeded((random) => run(random, listener), (first + index) >>> 0);
  });
}
