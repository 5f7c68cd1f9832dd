import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { Duplex } from "node:stream";
import { describe, test, type TestContext } from "node:test";
import { Aedes } from "aedes";
import type { ProbeResult } from "../../src/pool/health.ts";
import { ProbeIdentity } from "../../src/pool/probe_identity.ts";
import { MqttProbe, type MqttProbeOptions } from "../../src/pool/probe_mqtt.ts";
import { DeadlinePassed, within } from "../support/deadline.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";

const ids = new ProbeIdentity(Math.random);
const DEADLINE_MS = 5_000;

/** One probe over a stream to a broker. */
function talk(stream: Duplex, options: Omit<MqttProbeOptions, "clientId">): Promise<ProbeResult> {
  const probe = new MqttProbe({ ...options, clientId: ids.next() }, performance.now());
  return new Promise((resolve) => {
    const take = (step: ReturnType<MqttProbe["push"]>) => {
      if (step?.send) stream.write(step.send);
      if (step === undefined || !("done" in step)) return;
      stream.end();
      resolve(step.done);
    };
    stream.on("data", (chunk: Uint8Array) => take(probe.push(chunk, performance.now())));
    stream.on("close", () => take(probe.closed(performance.now())));
    stream.on("error", () => {});
    stream.write(probe.first);
  });
}

const dial = (port: number, options: Omit<MqttProbeOptions, "clientId">) => within(DEADLINE_MS, talk(connect(port, "127.0.0.1"), options), "the probe");

/** Two ends in this process: what is written to one is read from the other. */
function duplexPair(): [Duplex, Duplex] {
  const end = (other: () => Duplex): Duplex => new Duplex({
    read: () => {},
    write: (chunk, _encoding, next) => {
      other().push(chunk);
      next();
    },
    final: (next) => {
      other().push(null);
      next();
    },
  });
  const near: Duplex = end(() => far);
  const far: Duplex = end(() => near);
  return [near, far];
}

async function startAedes(t: TestContext): Promise<Aedes> {
  const aedes = await Aedes.createBroker();
  t.after(() => new Promise<void>((resolve) => aedes.close(resolve)));
  return aedes;
}

function talkTo(aedes: Aedes, options: Omit<MqttProbeOptions, "clientId">): Promise<ProbeResult> {
  const [near, far] = duplexPair();
  aedes.handle(far);
  return within(DEADLINE_MS, talk(near, options), "the probe");
}

describe("MqttProbe against brokers", () => {
  test("aedes takes a probe with a loop, and hears it leave in order", async (t) => {
    const aedes = await startAedes(t);
    for (const version of [3, 4] as const) {
      const left = once(aedes, "clientDisconnect");
      const result = await talkTo(aedes, { version, loopTopic: "sluice/probe", username: "u", password: "p" });
      assert.ok(result.ok && result.code === 0, JSON.stringify(result));
      await within(DEADLINE_MS, left, "the end");
    }
  });

  test("aedes, which has no MQTT 5, says so, and is alive", async (t) => {
    const result = await talkTo(await startAedes(t), { version: 5 });
    assert.ok(result.ok && result.code === 1, JSON.stringify(result));
  });

  test("mosquitto takes a probe with a loop in every version, and tells a wrong password", needs("mosquitto"), async (t) => {
    const broker = await startMosquitto({ users: { probe: "secret" } });
    t.after(() => broker.stop());
    for (const version of [3, 4, 5] as const) {
      const well = await dial(broker.port, { version, loopTopic: "sluice/probe", username: "probe", password: "secret" });
      assert.ok(well.ok && well.code === 0, JSON.stringify(well));
      const wrong = await dial(broker.port, { version, username: "probe", password: "wrong" });
      assert.ok(wrong.ok && wrong.code === (version === 5 ? 0x87 : 5), JSON.stringify(wrong));
    }
  });

  test("a broker that is frozen takes the connection and nothing else: TCP looks well, the probe waits for CONNACK (U8)", needs("mosquitto"), async (t) => {
    const broker = await startMosquitto();
    t.after(() => broker.stop());
    broker.freeze();
    const socket = connect(broker.port, "127.0.0.1");
    t.after(() => socket.destroy());
    await within(DEADLINE_MS, once(socket, "connect"), "TCP");
    await assert.rejects(within(300, talk(socket, { version: 4 }), "the probe"), DeadlinePassed);
    broker.thaw();
  });
});
