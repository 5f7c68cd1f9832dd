import { pause } from "../support/deadline.ts";
import type { RawClient } from "../support/raw_client.ts";

/** How bytes are cut on their way. */
export type Manner = "whole" | "byte by byte" | { readonly cutAt: readonly number[] };

/** Longer streams are cut into pieces of a hundred bytes instead of into bytes. */
const BYTE_BY_BYTE_MAX = 400;

/**
 * Sends the bytes, or as many as the peer still takes: whom hostile bytes are sent to may close in the middle of them.
 * Pieces are spread over turns of the event loop, so that each is most likely read by itself; nothing hangs on it.
 */
export async function speak(client: RawClient, data: Uint8Array, manner: Manner = "whole"): Promise<void> {
  let from = 0;
  for (const place of [...places(data, manner), data.length]) {
    if (client.ending !== "open") return;
    await client.send(data.subarray(from, place)).catch(() => {});
    if (place < data.length) await pause(0);
    from = place;
  }
}

function places(data: Uint8Array, manner: Manner): readonly number[] {
  if (manner === "whole") return [];
  if (typeof manner === "object") return manner.cutAt;
  const step = data.length > BYTE_BY_BYTE_MAX ? 100 : 1;
  return Array.from({ length: Math.ceil(data.length / step) - 1 }, (_, index) => (index + 1) * step);
}

/** Runs the work for each item, so many at a time. */
export async function eachOf<T>(items: readonly T[], lanes: number, work: (item: T, index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      await work(items[index] as T, index);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
