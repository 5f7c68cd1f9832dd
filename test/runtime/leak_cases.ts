import { strict as assert } from "node:assert";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../support/deadline.ts";
import { type Case, DEADLINE_MS, descriptorCount, Door, type End, introduced, type Lab, listen, pattern, RawPeer } from "./lab.ts";

const CYCLES = 500;
const AT_A_TIME = 20;

/** Each is run plain and over TLS. */
export const leakCases: readonly Case[] = [
  {
    name: `${CYCLES} connections of every ending give back their descriptors and their objects`,
    async run(lab) {
      const door = new Door();
      const listener = await listen(lab, door);
      // The first ones load what is loaded once.
      await cycle(lab, door, listener.port, 0);
      door.ends.length = 0;
      const before = descriptorCount();
      const alive: WeakRef<object>[] = [];
      for (let done = 0; done < CYCLES; done += AT_A_TIME) {
        const ends = await Promise.all(Array.from({ length: AT_A_TIME }, (_, i) => cycle(lab, door, listener.port, done + i)));
        alive.push(...ends.flat().map((end) => new WeakRef(end.connection)));
        door.ends.length = 0;
      }
      const spare = 3; // a resolver's or a timer's own, made late
      await until(() => descriptorCount() <= before + spare, DEADLINE_MS, `descriptors back to ${before}`);
      await listener.close();
      await objectsGone(alive);
    },
  },
];

/** Connects, exchanges some bytes, and ends in one of four ways; answers both ends. */
async function cycle(lab: Lab, door: Door, port: number, number: number): Promise<End[]> {
  if (lab.secure && number % 10 === 9) {
    const peer = new RawPeer(port);
    peer.socket.write("not TLS at all");
    await peer.untilClosed();
    return [];
  }
  const { client, server } = await introduced(lab, door, port, number % 256);
  server.connection.write(pattern(100));
  await client.until("the answer", ({ received }) => received === 100);
  const ways: (() => void)[] = [
    () => {
      client.connection.end();
      server.onEnd = () => server.connection.end();
    },
    () => {
      client.connection.end();
      server.connection.end();
    },
    () => client.connection.reset(),
    () => server.connection.reset(),
  ];
  ways[number % ways.length]!();
  if (number % ways.length > 1) {
    await Promise.race([client, server].map((end) => end.untilClosed()));
    client.connection.reset();
    server.connection.reset();
  }
  await Promise.all([client.untilClosed(), server.untilClosed()]);
  return [client, server];
}

/** A few may hang on a stack or in a cache; a leak is one for each connection. */
async function objectsGone(objects: WeakRef<object>[]): Promise<void> {
  const collect = await garbageCollector();
  if (collect === undefined) return;
  let left = objects.length;
  for (let i = 0; i < 50 && left > objects.length / 10; i += 1) {
    await sleep(10);
    collect();
    left = objects.filter((reference) => reference.deref() !== undefined).length;
  }
  assert.ok(left <= objects.length / 10, `${left} of ${objects.length} connections are still in memory`);
}

async function garbageCollector(): Promise<(() => void) | undefined> {
  const { Bun } = globalThis as unknown as { Bun?: { gc(force: boolean): void } };
  if (Bun !== undefined) return () => Bun.gc(true);
  try {
    const { setFlagsFromString } = await import("node:v8");
    const { runInNewContext } = await import("node:vm");
    setFlagsFromString("--expose-gc");
    const collect: unknown = runInNewContext("gc");
    return typeof collect === "function" ? (collect as () => void) : undefined;
  } catch {
    return undefined;
  }
}
