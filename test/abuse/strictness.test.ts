import assert from "node:assert/strict";
import { test } from "node:test";
import mqttPacket from "mqtt-packet";
import { parseRewrite, type RewriteRule } from "../../src/config/rewrite_rule.ts";
import { type Connect, judgeFirstByte, readConnect } from "../../src/mqtt/connect.ts";
import { FrameCollector } from "../../src/mqtt/frame_collector.ts";
import { FrameFollower } from "../../src/mqtt/frame_follower.ts";
import { rewriteConnect } from "../../src/mqtt/rewrite.ts";
import { CLIENT_RULES } from "../../src/mqtt/rules.ts";
import { changesFor } from "../../src/policy/rewrite.ts";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { chooseSeed, seeded } from "../support/seed.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import { RawClient } from "../support/raw_client.ts";
import { contentsOf } from "./connect_judge.ts";
import { someConnect, someStream } from "./mutate.ts";
import { hexOf } from "./recording_broker.ts";
import { startRig } from "./rig.ts";
import { eachOf } from "./speak.ts";
import { speakMutated } from "./speak_mutated.ts";
import { objectionTo } from "./stream_judge.ts";

const ADDRESS = "192.0.2.7";
const RULE = parseRewrite({
  clientId: "dev/${client.id:-nobody}/x",
  username: "gate",
  password: "s3cret",
  keepAliveMaxSeconds: 60,
  sessionExpiryMaxSeconds: 600,
  willTopicPrefix: "t/${client.id:-nobody}/",
  userProperties: [["x-client-ip", "${address}"]],
}) as RewriteRule;
const SEEDS = [["a fixed seed", 1_883], ["a fresh one", chooseSeed()]] as const;

/** What this CONNECT becomes by the rule; undefined: its client is turned away. */
function byTheRule(connect: Connect): Uint8Array | undefined {
  const { clientId, username, version } = connect;
  const origin = { certificate: undefined, address: ADDRESS, port: 50_000, listener: "front", serverName: undefined, claims: undefined };
  const changes = changesFor(RULE, { ...origin, clientId, username, version }, connect);
  if ("code" in changes) return undefined;
  const frame = rewriteConnect(connect, changes, { sizeMax: 65_536 });
  return "code" in frame ? undefined : frame;
}

/** What goes to the broker of a client that says this in such chunks; nothing: it was turned away. */
function throughTheGate(chunks: readonly Uint8Array[]): Uint8Array {
  const collector = new FrameCollector(judgeFirstByte, 65_536);
  for (let index = 0; index < chunks.length; index++) {
    const collected = collector.push(chunks[index] as Uint8Array);
    if (collected === undefined) continue;
    if ("code" in collected) break;
    const connect = readConnect(collected.frame);
    if ("refused" in connect) break;
    const frame = byTheRule(connect);
    if (frame === undefined) break;
    const follower = new FrameFollower(CLIENT_RULES[connect.version], 65_536);
    const rest = [collected.rest, ...chunks.slice(index + 1)].map((chunk) => {
      const bytes = follower.join(chunk);
      return bytes.slice(0, follower.follow(bytes));
    });
    return m.bytes(frame, ...rest);
  }
  return new Uint8Array(0);
}

/** As another codec reads it. */
function decoded(frame: Uint8Array): mqttPacket.IConnectPacket {
  let packet: mqttPacket.Packet | undefined;
  const parser = mqttPacket.parser();
  parser.on("packet", (read) => (packet = read));
  parser.parse(Buffer.from(frame));
  assert.equal(packet?.cmd, "connect", hexOf(frame));
  return packet as mqttPacket.IConnectPacket;
}

const firstOf = (stream: Uint8Array): Uint8Array => (m.readPacket(stream) as m.RawPacket).whole;

/** Whether this client's own frames, as far as they went, stand behind a CONNECT with its client id. */
function isSaid(received: Uint8Array, stream: Uint8Array): boolean {
  if (judgeFirstByte(stream[0] as number) !== undefined) return false;
  const said = readPacketOf(stream);
  if (said === undefined || "refused" in readConnect(said)) return false;
  const connect = firstOf(received);
  const behind = received.subarray(connect.length);
  return decoded(said).clientId === decoded(connect).clientId && behind.every((byte, index) => byte === stream[said.length + index]);
}

function readPacketOf(stream: Uint8Array): Uint8Array | undefined {
  try {
    return m.readPacket(stream)?.whole;
  } catch {
    return undefined; // a length of five bytes
  }
}

function assertIdentity(received: Uint8Array, said: Uint8Array, address = ADDRESS): void {
  const now = decoded(firstOf(received));
  const before = decoded(firstOf(said));
  assert.doesNotMatch(before.clientId, /[+#/]|\p{Cc}/u);
  const id = before.clientId || "nobody";
  assert.deepEqual([now.clientId, now.username, now.password?.toString()], [`dev/${id}/x`, "gate", "s3cret"]);
  assert.deepEqual([now.clean, now.protocolVersion], [before.clean, before.protocolVersion]);
  assert.deepEqual(now.will && { ...now.will }, before.will && { ...before.will, topic: `t/${id}/${before.will.topic}` });
  if (now.protocolVersion !== 5) return assert.equal(now.keepalive, before.keepalive);
  assert.equal(now.keepalive, Math.min(before.keepalive || 60, 60));
  assert.ok((now.properties?.sessionExpiryInterval ?? 0) <= 600);
  assert.equal(now.properties?.userProperties?.["x-client-ip"], address);
}

for (const [name, seed] of SEEDS) {
  test(`of 5,000 mutated streams nothing gets to a broker but one legal CONNECT with the identity of its rule, and legal frames (${name}: ${seed})`, () => seeded((random) => {
    let taken = 0;
    for (let round = 0; round < 5_000; round++) {
      const stream = someStream(random);
      const places = [0, ...random.cuts(stream.length, 5), stream.length];
      const received = throughTheGate(places.slice(1).map((place, index) => stream.slice(places[index], place)));
      assert.equal(objectionTo(received), undefined, `${hexOf(stream)} became ${hexOf(received)}`);
      if (received.length === 0) continue;
      taken++;
      assertIdentity(received, stream);
    }
    assert.ok(taken > 1_000 && taken < 4_500, `${taken} of 5,000 came through: the generator tells nothing`);
  }, seed));
}

for (const [name, seed] of SEEDS) {
  test(`of 500 mutated streams nothing reaches the broker but one legal CONNECT with the credentials of its URL, and legal frames (${name}: ${seed})`, async (t) => {
    const withLogin = (url: string): string => url.replace("mqtt://", "mqtt://gate:s3cret@");
    const rig = await startRig(t, { limits: { stall_timeout: "2s" }, configure: (urls) => ({ pools: { default: { brokers: urls.map(withLogin) } } }) });
    await seeded(async (random) => {
      const streams = await speakMutated(rig, random, 500);
      await rig.canary();
      const heard = rig.broker.connections.slice(0, -1).filter(({ receivedTotal }) => receivedTotal > 0);
      await until(() => heard.every((contact) => contact.isClosed), 3_000, "the brokers' connections to close");
      assert.ok(heard.length > 30 && heard.length < 450, `${heard.length} of 500 came through`);
      for (const { received } of heard) {
        assert.equal(objectionTo(received), undefined, `the broker received ${hexOf(received)}`);
        const { username, password } = decoded(firstOf(received));
        assert.deepEqual([username, password?.toString()], ["gate", "s3cret"]);
        const behind = received.subarray(firstOf(received).length);
        assert.ok(streams.some((stream) => isSaid(received, stream)), `nobody said ${hexOf(behind)} behind such a CONNECT`);
      }
    }, seed);
    await rig.settled();
  });
}

const TEXTS = { client_id: "dev/${client.id:-nobody}/x", username: "gate", password: "s3cret", session_expiry_max: "600s", will_topic_prefix: "t/${client.id:-nobody}/", user_properties: { "x-client-ip": "${address}" } };

for (const [name, seed] of SEEDS) {
  test(`of 500 mutated streams nothing reaches the broker of a pool with a rule but one legal CONNECT with the identity that the rule gives, and legal frames (${name}: ${seed})`, async (t) => {
    const rig = await startRig(t, {
      limits: { stall_timeout: "2s", keep_alive_max: "60s" },
      configure: (urls) => ({ pools: { default: { brokers: [...urls], connect: TEXTS } } }),
    });
    await seeded(async (random) => {
      const streams = await speakMutated(rig, random, 500);
      await until(() => rig.proxy.sessionCount === 0 && rig.broker.isIdle, 3_000, "the sessions and the broker's connections to end");
      const heard = rig.broker.connections.filter(({ receivedTotal }) => receivedTotal > 0);
      assert.ok(heard.length > 30 && heard.length < 450, `${heard.length} of 500 came through`);
      for (const { received } of heard) {
        assert.equal(objectionTo(received), undefined, `the broker received ${hexOf(received)}`);
        const behind = received.subarray(firstOf(received).length);
        assert.ok(streams.some((stream) => isMadeOf(received, stream)), `nobody said ${hexOf(behind)} behind a CONNECT that becomes this one: ${hexOf(received)}`);
      }
    }, seed);
    await rig.settled();
  });
}

/** Whether this is what the rule makes of the stream, as far as it went: identity by another codec, and every byte behind CONNECT. */
function isMadeOf(received: Uint8Array, stream: Uint8Array): boolean {
  const said = judgeFirstByte(stream[0] as number) === undefined ? readPacketOf(stream) : undefined;
  const connect = said && readConnect(said);
  if (said === undefined || connect === undefined || "refused" in connect) return false;
  const behind = received.subarray(firstOf(received).length);
  if (!behind.every((byte, index) => byte === stream[said.length + index])) return false;
  const { clientId } = decoded(firstOf(received));
  if (clientId !== `dev/${connect.clientId || "nobody"}/x`) return false;
  try {
    assertIdentity(received, stream, "127.0.0.1");
    return true;
  } catch {
    return false;
  }
}

test("a mosquitto that knows the rule's credentials alone takes 300 rewritten CONNECTs, and none as it came", needs("mosquitto"), async (t) => {
  const mosquitto = await startMosquitto({ users: { gate: "s3cret" } });
  t.after(() => mosquitto.stop());
  const codeOf = async (frame: Uint8Array): Promise<number | undefined> => {
    const client = await RawClient.open({ port: mosquitto.port });
    await client.send(frame).catch(() => {});
    const answer = await client.takePacket(3_000).catch((error: Error) => assert.fail(`${hexOf(frame)}: ${error.message}`));
    await client.close();
    return answer.body[1];
  };
  await seeded(async (random) => {
    const frames: Uint8Array[] = [];
    while (frames.length < 300) {
      const frame = someConnect(random);
      const connect = readConnect(frame);
      if ("refused" in connect || byTheRule(connect) === undefined || isMosquittosAffair(frame)) continue;
      frames.push(frame);
    }
    await eachOf(frames, 8, async (frame) => {
      const ours = byTheRule(readConnect(frame) as Connect) as Uint8Array;
      assert.equal(await codeOf(ours), 0, hexOf(ours));
      assert.notEqual(await codeOf(frame), 0, hexOf(frame));
    });
  });
});

/** Mosquitto refuses what the standard lets it: methods of authentication, characters that are none, packets too small for its CONNACK. */
function isMosquittosAffair(frame: Uint8Array): boolean {
  const { texts, packetSizeMax } = contentsOf(frame);
  const { properties } = decoded(frame);
  return properties?.authenticationMethod !== undefined || (packetSizeMax ?? Infinity) < 32 || texts.some((text) => /[\ufdd0-\ufdef\ufffe\uffff]/.test(text));
}
