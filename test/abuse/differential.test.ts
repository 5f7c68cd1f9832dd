import assert from "node:assert/strict";
import { test } from "node:test";
import mqttPacket from "mqtt-packet";
import { readConnect } from "../../src/mqtt/connect.ts";
import * as m from "../support/mqtt_bytes.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import { RawClient } from "../support/raw_client.ts";
import { chooseSeed, seeded, type SeededRandom } from "../support/seed.ts";
import { contentsOf, isLegalConnect } from "./connect_judge.ts";
import { lengthRepaired, mutated, someConnect } from "./mutate.ts";
import { hexOf } from "./recording_broker.ts";
import { startRig } from "./rig.ts";
import { eachOf } from "./speak.ts";

/** One whole CONNECT frame: legal, or with a fault inside. */
function someFrame(random: SeededRandom): Uint8Array {
  const frame = someConnect(random);
  return random.chance(0.5) ? frame : lengthRepaired(m.bytes(frame.subarray(0, 2), mutated(random, frame.subarray(2))));
}

const isTaken = (frame: Uint8Array): boolean => !("refused" in readConnect(frame));

function mqttPacketTakes(frame: Uint8Array): boolean {
  let taken = false;
  const parser = mqttPacket.parser();
  parser.on("packet", () => (taken = true));
  parser.on("error", () => (taken = false));
  try {
    return parser.parse(Buffer.from(frame)) === 0 && taken;
  } catch {
    return false;
  }
}

for (const [name, seed] of [["a fixed seed", 1_883], ["a fresh one", chooseSeed()]] as const) {
  test(`D2, D11: 5,000 CONNECTs: sluice takes exactly what the standard allows, and nothing that mqtt-packet refuses (${name}: ${seed})`, () => seeded((random) => {
    let taken = 0;
    for (let round = 0; round < 5_000; round++) {
      const frame = someFrame(random);
      assert.equal(isTaken(frame), isLegalConnect(frame), hexOf(frame));
      if (!isTaken(frame)) continue;
      taken++;
      assert.ok(mqttPacketTakes(frame), `mqtt-packet refuses ${hexOf(frame)}`);
    }
    assert.ok(taken > 1_000 && taken < 4_000, `${taken} of 5,000 were legal: the generator tells nothing`);
  }, seed));
}

type Verdict = "taken" | "refused";

/** Refusals that are the broker's policy and no objection to the bytes: bad credentials, not authorised, unknown method. */
const POLICY = [0x04, 0x05, 0x86, 0x87, 0x8c];

async function verdictOf(port: number, frame: Uint8Array): Promise<{ verdict: Verdict; code: number | undefined }> {
  const client = await RawClient.open({ port });
  await client.send(frame).catch(() => {});
  client.end();
  const answer = await client.takePacket(3_000).catch(() => undefined);
  await client.close();
  const code = answer?.type === 2 || answer?.type === 14 ? answer.body[answer.type === 2 ? 1 : 0] : undefined;
  const taken = answer?.type === 15 || (answer?.type === 2 && (code === 0 || POLICY.includes(code as number)));
  return { verdict: taken ? "taken" : "refused", code };
}

/** Where mosquitto takes what sluice refuses, by what sluice says about it. */
const STRICTER: readonly [RegExp, string][] = [
  [/protocol level 133/, "the mark of a bridge is a custom of 3.x; a bridge that is refused with it comes again without"],
  [/Payload Format Indicator of/, "MQTT 5 section 3.1.3.2.3 knows 0 and 1"],
  [/^MQTT 3: the reserved connect flag/, "3.1 section 3.1 reserves it, and only 3.1.1 forbids it: no client sets it"],
  [/Authentication Data without/, "MQTT 5 section 3.1.2.11.10: a protocol error"],
  [/^MQTT 3: (user name|password)/, "mosquitto lets 3.1 announce credentials that are missing or no text; 3.1 section 3.1 knows no such thing"],
  [/^MQTT 3: a password without a user name/, "the same"],
  [/^MQTT 3: will flags without a will/, "mosquitto overlooks them in 3.1; they are reserved then"],
];

function objectionOf(frame: Uint8Array): string {
  const result = readConnect(frame);
  return "refused" in result ? `MQTT ${result.version}: ${result.refused.detail}` : "";
}

/** Characters that a broker may refuse, and need not: MQTT 5 section 1.5.4, "should not include". */
const DISCOURAGED = /[\u0001-\u001f\u007f-\u009f\ufdd0-\ufdef]|[\ufffe\uffff]/;
/** Where mosquitto refuses what the standard allows: its policy, which sluice leaves to it. */
function isMosquittoPolicy(frame: Uint8Array): boolean {
  const { texts, packetSizeMax } = contentsOf(frame);
  return texts.some((text) => DISCOURAGED.test(text)) || (packetSizeMax !== undefined && packetSizeMax < 32); // no room for its CONNACK
}

test("D2, D11: 600 CONNECTs to mosquitto, alone and through sluice: sluice is never laxer, and stricter only as listed", needs("mosquitto"), async (t) => {
  const mosquitto = await startMosquitto();
  t.after(() => mosquitto.stop());
  const rig = await startRig(t, { brokers: [], urls: [`mqtt://127.0.0.1:${mosquitto.port}`] });
  await seeded(async (random) => {
    const frames = Array.from({ length: 600 }, () => someFrame(random));
    const differences: string[] = [];
    await eachOf(frames, 8, async (frame) => {
      const alone = await verdictOf(mosquitto.port, frame);
      const through = await verdictOf(rig.port, frame);
      if (through.verdict === "taken") {
        if (alone.verdict === "refused") differences.push(`laxer: ${hexOf(frame)} (alone ${alone.code})`);
        return;
      }
      if (isTaken(frame)) {
        if (alone.verdict === "taken") differences.push(`refused on the way: ${hexOf(frame)} (${through.code})`);
        else if (!isMosquittoPolicy(frame)) differences.push(`mosquitto refuses what we take: ${hexOf(frame)} (alone ${alone.code})`);
      } else if (alone.verdict === "taken" && !STRICTER.some(([listed]) => listed.test(objectionOf(frame)))) differences.push(`stricter: ${hexOf(frame)} (${objectionOf(frame)})`);
    });
    assert.deepEqual(differences, []);
  });
  await rig.settled();
});
