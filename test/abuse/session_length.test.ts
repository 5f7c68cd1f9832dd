import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { serverName } from "../transport/tls_hello/hello_bytes.ts";
import { clearHello } from "./clear_hello.ts";
import { startRig } from "./rig.ts";

const GOODBYE = m.packet(0xe0, [0x98, 0]);

describe("limits.session_length_max", () => {
  for (const version of [3, 4, 5] as const) {
    test(`a session of MQTT ${version === 5 ? "5 hears DISCONNECT 0x98" : `3.${version === 3 ? "1" : "1.1"} is closed`} at 90 to 100 % of it`, async (t) => {
      const rig = await startRig(t, { limits: { session_length_max: "2s" } });
      const begin = performance.now();
      const { client, broker } = await rig.session({ version, keepAliveSeconds: 0 });
      if (version === 5) await client.expect(GOODBYE);
      await client.expectEndWithoutData(5_000);
      const took = performance.now() - begin;
      assert.ok(took > 1_700 && took < 3_500, `${took} ms`);
      await broker.untilEnded();
      await until(() => rig.ends.length === 1, 2_000, "the end");
      assert.equal(rig.ends[0]?.reason, "session_length_reached");
      await rig.settled();
    });
  }

  test("sessions that began together do not end together", async (t) => {
    const rig = await startRig(t, { limits: { session_length_max: "8s" } });
    await Promise.all(Array.from({ length: 40 }, async (_, index) => {
      const client = await rig.open();
      await client.send(m.connect({ clientId: `${index}` }));
      await client.expect(m.connack());
    }));
    const endedAt: number[] = [];
    await until(() => {
      while (endedAt.length < rig.ends.length) endedAt.push(performance.now());
      return endedAt.length === 40;
    }, 15_000, "all to end");
    assert.ok(endedAt.at(-1)! - endedAt[0]! > 300, `all within ${endedAt.at(-1)! - endedAt[0]!} ms`);
    await rig.settled();
  });

  test("the DISCONNECT stands behind the packet that is on its way", async (t) => {
    const rig = await startRig(t, { limits: { session_length_max: "1s" } });
    const { client, broker } = await rig.session({ version: 5, keepAliveSeconds: 0 });
    const packet = m.publish({ version: 5, payload: new Uint8Array(1_000) });
    broker.send(packet.subarray(0, 500));
    await client.take(500);
    await client.expectSilence(1_500);
    broker.send(m.bytes(packet.subarray(500), m.publish({ version: 5 })));
    await client.expect(m.bytes(packet.subarray(500), GOODBYE));
    await client.expectEndWithoutData(2_000);
    await rig.settled();
  });

  test("TLS that is passed through is closed", async (t) => {
    const rig = await startRig(t, {
      brokers: [{ packet: () => {} }],
      limits: { session_length_max: "1s" },
      configure: () => ({ listeners: [{ listen: "mqtts://127.0.0.1:0", tls: "passthrough" }] }),
    });
    const client = await rig.knock();
    await client.send(clearHello(serverName("a.example")));
    await client.expectEnd(4_000);
    await until(() => rig.ends.length === 1, 2_000, "the end");
    assert.equal(rig.ends[0]?.reason, "session_length_reached");
    await rig.settled();
  });
});
