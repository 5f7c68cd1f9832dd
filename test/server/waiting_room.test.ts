import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TimerWheel } from "../../src/lib/timer_wheel.ts";
import { type Fault, fault } from "../../src/mqtt/fault.ts";
import type { Broker } from "../../src/pool/broker.ts";
import { Pool } from "../../src/pool/pool.ts";
import type { NoRoom } from "../../src/server/chooser.ts";
import { WaitingRoom } from "../../src/server/waiting_room.ts";
import type { Session } from "../../src/session/session.ts";

interface BrokerLimits {
  readonly sessionsMax?: number;
  readonly connectRate?: { readonly count: number; readonly perMs: number };
}

/** A pool with a line, and clients that are nothing but a place in it. */
class Scene {
  readonly wheel = new TimerWheel(0);
  readonly pool: Pool;
  readonly room: WaitingRoom;
  readonly told: string[] = [];

  constructor(brokers: readonly BrokerLimits[], waiting = { clientsMax: 10, timeoutMs: 60_000 }) {
    const base = { scheme: "mqtt", host: "b", port: 1883, weight: 1, username: undefined, password: undefined, passwordFile: undefined } as const;
    this.pool = new Pool({ name: "p", balance: "first", tls: { caFile: undefined, insecure: false }, waiting, brokers: brokers.map((limits, index) => ({ ...base, name: `b${index}`, ...limits })) });
    this.room = new WaitingRoom({ pools: [this.pool], wheel: this.wheel });
  }

  get broker(): Broker {
    return this.pool.brokers[0] as Broker;
  }

  /** A client comes; what it is told in the end is noted. */
  come(name: string, own?: Broker): Session {
    const session = { machine: { state: "deciding", hasClientEnded: false }, upstream: undefined, pool: this.pool } as unknown as Session;
    const note = (chosen: readonly Broker[] | Fault) => {
      if ("code" in chosen) return void this.told.push(`${name}: ${chosen.code}`);
      this.told.push(`${name}: ${chosen[0]!.name}`);
      assert.equal(this.room.redeem(session, chosen[0]!), true, "a place was kept");
      chosen[0]!.sessions++;
    };
    const chosen = this.room.admit(session, () => this.#choose(own));
    if (chosen instanceof Promise) void chosen.then(note);
    else note(chosen);
    return session;
  }

  #choose(preferred: Broker | undefined): readonly Broker[] | Fault | NoRoom {
    const choice = { key: "k", preferred, random: () => 0 };
    const { now } = this.wheel;
    if (preferred !== undefined && !preferred.isDown(now) && !preferred.canTake(now)) return { ...fault("server_busy", "its own is full"), only: preferred };
    const order = this.pool.order(choice, now);
    return order.length > 0 ? order : { ...fault(this.pool.whyNone(choice, now) === "rate" ? "connection_rate_exceeded" : "server_busy", "none"), only: undefined };
  }

  async pass(milliseconds: number): Promise<void> {
    this.wheel.advance(this.wheel.now + milliseconds);
    for (let turn = 0; turn < 4; turn++) await Promise.resolve();
  }
}

describe("WaitingRoom", () => {
  test("a newcomer does not get what has become free a moment before: those who wait come first", async () => {
    const scene = new Scene([{ connectRate: { count: 1, perMs: 1_000 } }]);
    for (const name of ["first", "second", "third"]) scene.come(name);
    scene.wheel.now = 1_000; // the token is back, and nobody has looked yet
    scene.come("newcomer");
    await scene.pass(0);
    assert.deepEqual(scene.told, ["first: b0", "second: b0"]);
    await scene.pass(1_000);
    await scene.pass(1_000);
    assert.deepEqual(scene.told.slice(2), ["third: b0", "newcomer: b0"]);
  });

  test("a place is kept from the choice to the dial: two who are called in one moment do not get the same one", async () => {
    const scene = new Scene([{ sessionsMax: 2 }]);
    scene.broker.sessions = 2;
    for (const name of ["a", "b", "c"]) scene.come(name);
    scene.broker.sessions = 1;
    scene.room.serve();
    scene.room.serve();
    assert.equal(scene.broker.sessions, 2, "the one that was kept counts");
    await scene.pass(0);
    assert.deepEqual(scene.told, ["a: b0"]);
  });

  test("a session that ends before it has dialed gives back what was kept for it", () => {
    const scene = new Scene([{ sessionsMax: 1 }]);
    const session = { machine: { state: "deciding" }, pool: scene.pool } as unknown as Session;
    scene.room.admit(session, () => scene.pool.brokers);
    assert.equal(scene.broker.sessions, 1);
    scene.room.finished(session);
    assert.equal(scene.broker.sessions, 0);
    assert.equal(scene.room.redeem(session, scene.broker), false, "once");
  });

  test("one that leaves makes room in the line at once", async () => {
    const scene = new Scene([{ sessionsMax: 1 }], { clientsMax: 1, timeoutMs: 60_000 });
    scene.broker.sessions = 1;
    const gone = scene.come("gone");
    scene.room.finished(gone);
    assert.equal(scene.room.sizeOf(scene.pool), 0);
    scene.come("next");
    scene.broker.sessions = 0;
    await scene.pass(200);
    assert.deepEqual(scene.told, ["next: b0"]);
  });

  test("one whose own broker is full lets others pass to other brokers; when its own goes down, any will do", async () => {
    const scene = new Scene([{ sessionsMax: 1 }, { sessionsMax: 1 }]);
    const [own, other] = scene.pool.brokers as [Broker, Broker];
    own.sessions = 1;
    other.sessions = 1;
    scene.come("bound", own);
    scene.come("free");
    other.sessions = 0;
    await scene.pass(200);
    assert.deepEqual(scene.told, ["free: b1"]);
    other.sessions = 0;
    own.probed("down", 200, "for the test");
    await scene.pass(200);
    assert.deepEqual(scene.told, ["free: b1", "bound: b1"]);
  });

  test("who is late hears why: the room or the rate", async () => {
    for (const [limits, code] of [[{ sessionsMax: 1 }, "server_busy"], [{ connectRate: { count: 1, perMs: 3_600_000 } }, "connection_rate_exceeded"]] as const) {
      const scene = new Scene([limits], { clientsMax: 1, timeoutMs: 1_000 });
      scene.come("in");
      scene.come("late");
      scene.come("too many");
      for (let count = 0; count < 9; count++) await scene.pass(100);
      assert.deepEqual(scene.told, ["in: b0", `too many: ${code}`]);
      for (let count = 0; count < 3; count++) await scene.pass(100);
      assert.deepEqual(scene.told, ["in: b0", `too many: ${code}`, `late: ${code}`]);
      assert.equal(scene.wheel.size, 0, "no timer while nobody waits");
    }
  });

  test("when the operator takes all brokers out, nobody is kept waiting", async () => {
    const scene = new Scene([{ sessionsMax: 1 }], { clientsMax: 5, timeoutMs: 60_000 });
    const session = { machine: { state: "deciding", hasClientEnded: false }, upstream: undefined, pool: scene.pool } as unknown as Session;
    let answer: readonly Broker[] | Fault | NoRoom = { ...fault("server_busy", "full"), only: undefined };
    const chosen = scene.room.admit(session, () => answer);
    answer = fault("server_unavailable", "taken out");
    await scene.pass(200);
    assert.equal(await chosen, answer);
  });
});
