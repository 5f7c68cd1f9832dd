import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HealthCheck, type HealthOutput, type HealthSettings, type ProbeResult } from "../../src/pool/health.ts";
import { seeded, type SeededRandom } from "../support/seed.ts";

const SETTINGS: HealthSettings = { intervalMs: 10_000, fastIntervalMs: 1_000, timeoutMs: 3_000, rise: 2, fall: 3, jitter: 0 };
const WELL: ProbeResult = { ok: true, code: 0, milliseconds: 5 };
const ILL: ProbeResult = { ok: false, why: "connection refused", milliseconds: 1 };

/** A check whose probes are answered at once as the test says; undefined: never. Time jumps to where the check wants it. */
class World {
  now = 0;
  readonly marks: string[] = [];
  readonly probedAt: number[] = [];
  readonly gaveUp: number[] = [];
  readonly check: HealthCheck;

  constructor(settings: Partial<HealthSettings> = {}, random: () => number = () => 0.5) {
    this.check = new HealthCheck({ ...SETTINGS, ...settings }, random, 0);
  }

  /** One probe from beginning to end. */
  probe(result: ProbeResult | undefined): void {
    this.now = Math.max(this.now, this.check.dueAt);
    const [begin, ...rest] = this.check.step({ type: "tick" }, this.now);
    assert.ok(begin?.do === "probe" && rest.length === 0, "a probe is due");
    this.probedAt.push(this.now);
    if (result !== undefined) return this.take(this.check.step({ type: "answered", probe: begin.probe, result }, this.now));
    this.now = this.check.dueAt;
    this.take(this.check.step({ type: "tick" }, this.now));
  }

  take(outputs: readonly HealthOutput[]): void {
    for (const output of outputs) {
      if (output.do === "mark") this.marks.push(`${output.health}: ${output.cause}`);
      if (output.do === "give_up") this.gaveUp.push(output.probe);
    }
  }
}

describe("HealthCheck", () => {
  test("falls after so many failures in a row, is checked while it rises, and rises after so many answers in a row (U6)", () => {
    const world = new World();
    for (const result of [WELL, ILL, ILL, WELL, ILL, ILL, ILL, ILL, WELL, ILL, WELL, WELL, WELL]) world.probe(result);
    assert.deepEqual(world.marks, [
      "down: 3 probes in a row failed: connection refused",
      "checking: 1 of 2 probes answered",
      "down: a probe failed again: connection refused",
      "checking: 1 of 2 probes answered",
      "up: 2 probes in a row were answered",
    ]);
  });

  test("before anything is known one failure is enough", () => {
    const world = new World();
    world.probe(ILL);
    assert.deepEqual(world.marks, ["down: a probe failed: connection refused"]);
  });

  test("probes come at the interval, faster while the last ones speak against the verdict", () => {
    const world = new World();
    for (const result of [WELL, WELL, ILL, ILL, ILL, ILL, WELL, WELL, WELL]) world.probe(result);
    const gaps = world.probedAt.map((at, index) => at - (world.probedAt[index - 1] ?? 0));
    assert.deepEqual(gaps, [500, 10_000, 10_000, 1_000, 1_000, 10_000, 10_000, 1_000, 10_000]);
  });

  test("one that is never answered is given up after the timeout and has failed; its late answer is not heard (U8)", () => {
    const world = new World();
    world.probe(WELL);
    for (let count = 0; count < 3; count++) world.probe(undefined);
    assert.deepEqual(world.gaveUp, [2, 3, 4]);
    assert.deepEqual(world.marks, ["down: 3 probes in a row failed: no answer within 3000 ms"]);
    world.take(world.check.step({ type: "answered", probe: 4, result: WELL }, world.now));
    world.take(world.check.step({ type: "answered", probe: 3, result: WELL }, world.now));
    assert.equal(world.marks.length, 1);
  });

  test("a client's failure brings the next probe forward, and many of them no more than one each second", () => seeded((random) => {
    const world = new World({ jitter: 0.2 }, random.next);
    world.probe(WELL);
    const from = world.now;
    let probes = 0;
    for (let now = from; now < from + 20_000; now += 10) {
      world.check.step({ type: "client_failed" }, now);
      for (const output of world.check.step({ type: "tick" }, now)) {
        if (output.do !== "probe") continue;
        probes++;
        world.check.step({ type: "answered", probe: output.probe, result: WELL }, now);
      }
    }
    assert.ok(probes >= 16 && probes <= 26, `${probes} probes in 20 s`);
  }));

  test("a client's failure is outweighed by as many CONNACKs in a row as it takes to rise, and by no TCP connection", () => {
    const world = new World();
    world.probe(WELL);
    world.check.step({ type: "client_failed" }, world.now);
    for (const result of [WELL, ILL, WELL]) world.probe(result);
    assert.deepEqual(world.marks, []);
    world.probe(WELL);
    assert.deepEqual(world.marks, ["up: 2 probes in a row were answered"]);
    world.probe(WELL);
    world.check.step({ type: "client_failed" }, world.now);
    for (let count = 0; count < 5; count++) world.probe({ ...WELL, code: undefined });
    assert.equal(world.marks.length, 1);
    assert.deepEqual(world.probedAt.slice(-3).map((at, index, all) => at - (all[index - 1] ?? at)), [0, 10_000, 10_000], "and the hurry ends");
  });

  test("an interval is jittered within its part, so that proxies do not probe in step", () => seeded((random) => {
    const world = new World({ jitter: 0.25 }, random.next);
    for (let count = 0; count < 500; count++) world.probe(WELL);
    const gaps = world.probedAt.slice(1).map((at, index) => at - (world.probedAt[index] as number));
    assert.ok(gaps.every((gap) => gap >= 7_500 && gap <= 12_500));
    assert.ok(Math.min(...gaps) < 8_000 && Math.max(...gaps) > 12_000);
  }));

  test("never two probes at a time, never a mark that is none, whatever comes in whatever order", () => seeded((random) => {
    for (let round = 0; round < 200; round++) play(random);
  }));
});

function play(random: SeededRandom): void {
  const check = new HealthCheck({ ...SETTINGS, rise: random.integer(1, 3), fall: random.integer(1, 3), jitter: random.next() }, random.next, 0);
  let running: number | undefined;
  let health = "up";
  let isDoubted = false;
  for (let now = 0, step = 0; step < 300; step++, now += random.integer(0, 2_000)) {
    const type = random.pick(["tick", "tick", "answered", "client_failed"] as const);
    const probe = (running ?? 0) - (random.chance(0.1) ? 1 : 0);
    const wasRunning = running;
    if (type === "client_failed") isDoubted = true;
    const outputs = check.step(type === "answered" ? { type, probe, result: random.chance(0.5) ? WELL : ILL } : { type }, now);
    if (type === "answered" && wasRunning !== undefined && probe === wasRunning) running = undefined;
    for (const output of outputs) {
      if (output.do === "mark") {
        assert.ok(output.health !== health || (health === "up" && isDoubted), `${output.health} again`);
        isDoubted = false;
        health = output.health;
      } else if (output.do === "probe") {
        assert.equal(running, undefined, "two probes at a time");
        running = output.probe;
      } else {
        assert.equal(output.probe, running);
        running = undefined;
      }
    }
    assert.ok(check.dueAt <= now + 2 * SETTINGS.intervalMs, "it always comes back");
  }
}
