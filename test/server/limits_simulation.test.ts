import assert from "node:assert/strict";
import { test } from "node:test";
import * as m from "../support/mqtt_bytes.ts";
import { chooseSeed, seeded, type SeededRandom } from "../support/seed.ts";
import { LimitsWorld, type Visitor } from "./limits_world.ts";

/** What waits for a promise goes on. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) await Promise.resolve();
}

function act({ connection }: Visitor, random: SeededRandom): void {
  const choice = random.integer(0, 99);
  if (choice < 15) connection.peerEnd();
  else if (choice < 25) connection.peerReset();
  else if (choice < 35) { connection.peerSend(m.disconnect()); connection.peerEnd(); }
  else if (choice < 38) connection.peerSend(random.bytes(9));
  else if (choice < 60) connection.peerSend(m.publish({ payload: random.bytes(20) }));
}

async function run(random: SeededRandom): Promise<ReadonlyMap<string, number>> {
  const world = await LimitsWorld.create(random);
  for (let step = 0; step < 250; step++) {
    for (let pieces = random.pick([1, 1, 1, 4]); pieces > 0; pieces--) {
      world.time.runUntil(world.time.now + random.pick([1, 20, 100]));
      await settle();
      world.check();
    }
    for (let count = random.pick([0, 0, 1, 1, 6]); count > 0; count--) {
      const username = random.pick([undefined, "ada", "grace", "x".repeat(200)]);
      const version = random.pick([3, 4, 5] as const);
      const visitor = world.visit(random.pick(["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "unix", "unix"]), username);
      if (random.chance(0.9)) visitor?.connection.peerSend(m.connect({ version, clientId: `c${random.integer(0, 15)}`, clean: random.chance(0.5), keepAliveSeconds: 0, ...(username !== undefined && { username }) }));
    }
    if (random.chance(0.05)) world.moods.set(random.pick([...world.pool.brokers]), random.pick(["well", "well", "refuses_dial", "black_hole", "silent", "closes", "says_no"]));
    for (const visitor of world.visitors) if (!visitor.connection.isClosed && random.chance(0.03)) act(visitor, random);
  }
  for (let count = 0; count < 60; count++) {
    if (count === 20) world.stop();
    world.time.runUntil(world.time.now + 100);
    await settle();
    world.check();
  }
  world.checkRates();
  world.assertNothingLeft();
  return world.codes;
}

const first = chooseSeed();
const seeds = process.env["SLUICE_SEED"] === undefined ? 64 : 1;

test(`${seeds} seeds of crowds: no limit is ever passed, every place comes back, nobody waits for ever (first seed ${first})`, async () => {
  const codes = new Map<string, number>();
  for (let index = 0; index < seeds; index++) {
    for (const [code, count] of await seeded(run, (first + index) >>> 0)) codes.set(code, (codes.get(code) ?? 0) + count);
  }
  if (seeds === 1) return;
  for (const code of ["too_many_connections", "connection_rate_exceeded", "server_busy", "shut out", "session_length_reached", "client_closed"]) {
    assert.ok((codes.get(code) ?? 0) > 0, `no ${code}: ${JSON.stringify([...codes])}`);
  }
});
