import assert from "node:assert/strict";
import process from "node:process";
import { describe, test } from "node:test";
import type { Broker } from "../../src/pool/broker.ts";
import { chooseSeed, seeded, type SeededRandom } from "../support/seed.ts";
import { drawScenario, drawWeights, HASHING, type Scenario } from "./scenario.ts";
import { Simulation, TICK_MS, type Truth } from "./simulation.ts";

const CLIENTS = 10_000;
const FAULTS_UNTIL_MS = 75_000;
/** After the last fault: probes, rests, slow starts, quiet times and the clients' own waits are over. */
const SETTLED_MS = 60_000;

const primariesOf = (simulation: Simulation) => simulation.pool.brokers.filter(({ isBackup }) => !isBackup);

/** Something happens to a broker, or the operator does something. */
function disturb(simulation: Simulation, random: SeededRandom): void {
  const broker = random.pick(simulation.pool.brokers);
  const event = random.integer(0, 9);
  if (event < 5) simulation.setTruth(broker, random.pick<Truth>(["dead", "dead", "hangs", "refuses", "well", "well"]));
  else if (event < 8) simulation.setAdmin(broker, random.pick(["ready", "ready", "drain", "maint"]));
  else changeWeights(simulation, random);
}

function changeWeights(simulation: Simulation, random: SeededRandom): void {
  const primaries = primariesOf(simulation);
  const weights = drawWeights(random, primaries.length);
  for (const [index, broker] of primaries.entries()) broker.setWeight(weights[index] as number, simulation.now);
}

function runFaults(simulation: Simulation, random: SeededRandom): void {
  for (const client of simulation.clients) simulation.arrive(client, random.integer(0, 5_000));
  let nextDisturbance = 8_000;
  while (simulation.now < FAULTS_UNTIL_MS) {
    simulation.runUntil(simulation.now + TICK_MS);
    for (let count = 0; count < 10; count++) simulation.leave(random.pick(simulation.clients), random.pick([0, 500, 20_000]));
    if (simulation.now < nextDisturbance) continue;
    disturb(simulation, random);
    nextDisturbance += random.integer(500, 25_000);
  }
}

/** Everything is mended, and what has to find that out has the time and the clients for it. */
function heal(simulation: Simulation, random: SeededRandom): void {
  for (const broker of simulation.pool.brokers) {
    simulation.setTruth(broker, "well");
    simulation.setAdmin(broker, "ready");
  }
  const end = simulation.now + SETTLED_MS;
  while (simulation.now < end) {
    simulation.runUntil(simulation.now + 1_000);
    for (let count = 0; count < 20; count++) simulation.leave(random.pick(simulation.clients), 0);
  }
  simulation.runUntil(simulation.now + 10_000);
}

/** Everybody goes and comes again within a few seconds, as after a failure of the network. */
function wave(simulation: Simulation, random: SeededRandom): void {
  for (const client of random.shuffle(simulation.clients)) simulation.leave(client, random.integer(0, 3_000));
  simulation.runUntil(simulation.now + 20_000);
}

function checkAllServed(simulation: Simulation, scenario: Scenario): void {
  const total = simulation.pool.brokers.reduce((sum, broker) => sum + simulation.sessionsOf(broker), 0);
  assert.equal(total, scenario.clients, "clients are left outside");
  assert.equal(simulation.line.size, 0);
  for (const broker of simulation.pool.brokers) assert.equal(broker.sessions, simulation.sessionsOf(broker), `${broker.name} counts sessions that are none`);
}

function checkShares(simulation: Simulation, scenario: Scenario): void {
  const { balance, settings, caps } = scenario;
  if (settings.failOver === "all") {
    const elected = simulation.pool.elected(simulation.now) as Broker;
    assert.equal(elected, simulation.pool.brokers[0], "all are back at the first");
    return assert.equal(simulation.sessionsOf(elected), scenario.clients);
  }
  if (settings.affinity === "session") return; // they are where their sessions are
  const primaries = primariesOf(simulation);
  const weight = primaries.reduce((sum, broker) => sum + broker.weight, 0);
  let left = scenario.clients;
  for (const broker of primaries) {
    const sessions = simulation.sessionsOf(broker);
    const cap = caps[broker.name] ?? Infinity;
    const share = (scenario.clients * broker.weight) / weight;
    if (balance === "first") assert.equal(sessions, Math.min(left, cap));
    else if (share * 1.1 < cap && Object.keys(caps).length === 0) assert.ok(Math.abs(sessions - share) <= share / 10, `${broker.name} has ${sessions}, its share is ${share}`);
    left -= sessions;
  }
}

/** Where clients would go, with nobody counted: the hash alone. */
function homesOf(simulation: Simulation): (Broker | undefined)[] {
  const { pool } = simulation;
  return simulation.clients.map((client) => pool.home({ ...simulation.choiceOf(client), preferred: undefined }, simulation.now));
}

/** With rendezvous only the lost broker's clients move, and they alone come back. */
function checkOnlyTheLostMove(simulation: Simulation, random: SeededRandom): void {
  const before = homesOf(simulation);
  const lost = random.pick(primariesOf(simulation));
  lost.probed("down", simulation.now, "test");
  for (const [index, home] of homesOf(simulation).entries()) {
    if (before[index] === lost) assert.notEqual(home, lost);
    else assert.equal(home, before[index], "a client moves without need");
  }
  lost.probed("up", simulation.now, "test");
  assert.deepEqual(homesOf(simulation).map((home) => home?.name), before.map((home) => home?.name));
}

function play(random: SeededRandom): Scenario {
  const scenario = drawScenario(random, CLIENTS);
  try {
    const simulation = new Simulation(random, scenario);
    runFaults(simulation, random);
    heal(simulation, random);
    checkAllServed(simulation, scenario);
    wave(simulation, random);
    // A broker over its bound that no probe asks is not known to be well before the wave, and warms up in it.
    if (!scenario.hasProbes && scenario.settings.slowStartMs !== undefined) wave(simulation, random);
    checkAllServed(simulation, scenario);
    checkShares(simulation, scenario);
    const { loadMax, slowStartMs, failOver } = scenario.settings;
    if (HASHING.has(scenario.balance) && failOver === "each" && loadMax === undefined && slowStartMs === undefined && Object.keys(scenario.caps).length === 0) checkOnlyTheLostMove(simulation, random);
  } catch (error) {
    if (error instanceof Error) error.message += `\n${JSON.stringify(scenario)}`;
    throw error;
  }
  return scenario;
}

describe("the pool in simulation", () => {
  const first = chooseSeed();
  const seeds = process.env["SLUICE_SEED"] === undefined ? 256 : 1;
  test(`${seeds} seeds of ${CLIENTS} clients and brokers that die, hang, refuse, come back, drain and change their weights (first seed ${first})`, async () => {
    for (let index = 0; index < seeds; index++) await seeded(play, (first + index) >>> 0);
  });
});
