import assert from "node:assert/strict";
import type { SeededRandom } from "../support/seed.ts";
import { someStream } from "./mutate.ts";
import { hexOf } from "./recording_broker.ts";
import type { Rig } from "./rig.ts";
import { eachOf, speak } from "./speak.ts";

/** Says so many mutated streams, each as a client of its own that is cut anywhere, leaves and is let go; answers with the streams. */
export async function speakMutated(rig: Rig, random: SeededRandom, count: number): Promise<Uint8Array[]> {
  const jobs = Array.from({ length: count }, () => ({ stream: someStream(random), cuts: random.chance(0.5) ? [] : random.cuts(60, 5) }));
  await eachOf(jobs, 16, async ({ stream, cuts }) => {
    const client = await rig.open();
    await speak(client, stream, { cutAt: cuts.filter((cut) => cut < stream.length) });
    client.end();
    await client.expectEnd(3_000).catch((error: Error) => assert.fail(`${hexOf(stream)}: ${error.message}`));
    await client.close();
  });
  return jobs.map(({ stream }) => stream);
}
