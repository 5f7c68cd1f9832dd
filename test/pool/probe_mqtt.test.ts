import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readConnect } from "../../src/mqtt/connect.ts";
import { ProbeIdentity } from "../../src/pool/probe_identity.ts";
import { MqttProbe, type MqttProbeOptions, type ProbeStep } from "../../src/pool/probe_mqtt.ts";
import * as m from "../support/mqtt_bytes.ts";
import { seeded } from "../support/seed.ts";

const VERSIONS = [3, 4, 5] as const;
const LOGIN = { clientId: "sluiceprobe1", username: undefined, password: undefined };
const GOODBYE = m.hex("e0 00");
const create = (options: Partial<MqttProbeOptions> = {}) => new MqttProbe({ ...LOGIN, version: 4, ...options }, 1_000);

function done(step: ProbeStep) {
  assert.ok(step !== undefined && "done" in step, "the probe is done");
  return step.done;
}

function sent(step: ProbeStep): Uint8Array {
  assert.ok(step?.send, "something is to be sent");
  return step.send;
}

function failure(step: ProbeStep): string {
  const result = done(step);
  assert.ok(!result.ok, "the probe failed");
  return result.why;
}

describe("MqttProbe", () => {
  for (const version of VERSIONS) {
    test(`MQTT ${version}: CONNECT with a clean start, CONNACK, DISCONNECT; tells the code and the time`, () => {
      const probe = create({ version, username: "häns", password: "secret" });
      const connect = readConnect(probe.first);
      assert.ok("clientId" in connect, "a valid CONNECT");
      assert.deepEqual([connect.version, connect.clientId, connect.username, connect.cleanStart], [version, "sluiceprobe1", "häns", true]);
      const step = probe.push(m.connack({ version }), 1_042);
      assert.deepEqual(done(step), { ok: true, code: 0, milliseconds: 42 });
      assert.deepEqual(sent(step), GOODBYE);
      assert.equal(probe.closed(1_043), undefined, "the end after the end is none");
    });

    test(`MQTT ${version}: the loop subscribes, publishes and waits for its own message`, () => {
      const probe = create({ version, loopTopic: "health" });
      const subscribe = m.readPacket(sent(probe.push(m.connack({ version }), 1_001)));
      assert.equal(subscribe?.type, 8);
      assert.equal(probe.awaits, "SUBACK");
      const suback = m.packet(0x90, [0, 1], version === 5 ? [0] : [], [0]);
      const publish = sent(probe.push(suback, 1_002));
      assert.deepEqual(publish, m.publish({ version, topic: "health/sluiceprobe1", payload: "sluiceprobe1" }));
      assert.equal(probe.push(m.publish({ version, topic: "health/another", payload: "x" }), 1_003), undefined, "somebody else's");
      assert.equal(probe.awaits, "the message to itself");
      const step = probe.push(publish, 1_030);
      assert.deepEqual(done(step), { ok: true, code: 0, milliseconds: 30 });
      assert.deepEqual(sent(step), GOODBYE);
    });

    test(`MQTT ${version}: whatever the chunks, the same answer`, () => seeded((random) => {
      const answers = m.bytes(
        m.connack({ version }), m.packet(0x90, [0, 1], version === 5 ? [0] : [], [0]),
        m.publish({ version, topic: "t/other", payload: random.bytes(300) }), m.publish({ version, topic: "t/sluiceprobe1", payload: "sluiceprobe1" }),
      );
      for (let round = 0; round < 50; round++) {
        const probe = create({ version, loopTopic: "t" });
        const said: Uint8Array[] = [];
        let last: ProbeStep;
        let from = 0;
        for (const cut of [...random.cuts(answers.length, 12), answers.length]) {
          last = probe.push(answers.subarray(from, cut), 1_001);
          if (last?.send) said.push(last.send);
          from = cut;
        }
        assert.equal(done(last).ok, true);
        assert.deepEqual(said.flatMap((bytes) => [...bytes]).filter((_, index, all) => index >= all.length - 2), [0xe0, 0]);
      }
    }));
  }

  test("a refusal of the probe itself proves a broker that is alive; one of service does not", () => {
    for (const [version, code] of [[4, 1], [4, 2], [4, 4], [4, 5], [5, 0x84], [5, 0x86], [5, 0x87], [5, 0x8a], [5, 0x8c]] as const) {
      const step = create({ version }).push(m.connack({ version, code }), 1_001);
      assert.deepEqual(done(step), { ok: true, code, milliseconds: 1 });
      assert.equal(step?.send, undefined, "no DISCONNECT where no session is");
      assert.match(failure(create({ version, loopTopic: "t" }).push(m.connack({ version, code }), 1_001)), /^CONNACK with code 0x/, "a loop needs to get in");
    }
    for (const [version, code] of [[4, 3], [5, 0x80], [5, 0x88], [5, 0x89], [5, 0x97], [5, 0x9c], [5, 0x9d], [5, 0x9f]] as const) {
      assert.equal(failure(create({ version }).push(m.connack({ version, code }), 1_001)), `CONNACK with code 0x${code.toString(16).padStart(2, "0")}`);
    }
  });

  test("what is no answer is said in words", () => {
    const looping = (version: 4 | 5) => {
      const probe = create({ version, loopTopic: "t" });
      probe.push(m.connack({ version }), 1_001);
      return probe;
    };
    assert.equal(failure(create().closed(1_001)), "it closed before CONNACK");
    assert.equal(failure(looping(4).closed(1_001)), "it closed before SUBACK");
    assert.match(failure(create().push(m.bytes("HTTP/1.1 400 Bad Request\r\n"), 1_001)), /first byte is 0x48, not CONNACK/);
    assert.match(failure(create({ version: 5 }).push(m.packet(0xf0), 1_001)), /first byte is 0xf0, not CONNACK/);
    assert.match(failure(create().push(m.hex("20 03 00 00 00"), 1_001)), /CONNACK: 1 bytes after its last field/);
    assert.match(failure(create().push(m.hex("20 ff ff ff 7f"), 1_001)), /CONNACK of .* bytes or more, the limit is 65536/);
    assert.equal(failure(looping(4).push(m.packet(0x90, [0, 1, 0x80]), 1_001)), "SUBACK with code 0x80");
    assert.match(failure(looping(4).push(m.packet(0x90, [0, 1]), 1_001)), /SUBACK: reason code is cut short/);
    assert.equal(failure(looping(5).push(m.hex("e0 02 8b 00"), 1_001)), "DISCONNECT with code 0x8b");
    assert.match(failure(looping(4).push(m.connect(), 1_001)), /CONNECT is not legal here/);
    assert.equal(looping(4).push(m.packet(0xd0), 1_001), undefined, "a PINGRESP that nobody asked for is harmless");
  });

  test("hostile bytes end it in words or not at all, and never throw", () => seeded((random) => {
    for (let round = 0; round < 3_000; round++) {
      const version = random.pick(VERSIONS);
      const probe = create({ version, loopTopic: random.chance(0.5) ? "t" : undefined });
      if (random.chance(0.7)) probe.push(m.connack({ version }), 1_001);
      const frame = random.pick([m.packet(0x90, [0, 1], [0], [0]), m.publish({ version, topic: "t/sluiceprobe1", payload: "x" }), m.packet(random.integer(0, 255), random.bytes(random.integer(0, 40)))]);
      const mutated = Uint8Array.from(frame, (byte) => (random.chance(0.1) ? random.integer(0, 255) : byte));
      probe.push(mutated, 1_002);
      probe.push(random.bytes(random.integer(0, 50)), 1_003);
      probe.closed(1_004);
    }
  }));
});

describe("ProbeIdentity", () => {
  test("ids differ within a process and between processes, and every broker takes them: at most 23 letters and digits [MQTT-3.1.3-5]", () => seeded((random) => {
    const ids = Array.from({ length: 50 }, () => new ProbeIdentity(random.next)).flatMap((identity) => Array.from({ length: 50 }, () => identity.next()));
    assert.equal(new Set(ids).size, 2_500);
    for (const id of ids) assert.match(id, /^[0-9a-z]{16,23}$/);
  }));
});
