import assert from "node:assert/strict";
import { resolveConfiguration } from "../../src/config/resolve.ts";
import type { Configuration } from "../../src/config/types.ts";
import { TICK_MS, TimerWheel } from "../../src/lib/timer_wheel.ts";
import { fault } from "../../src/mqtt/fault.ts";
import type { Broker } from "../../src/pool/broker.ts";
import type { Pool } from "../../src/pool/pool.ts";
import type { Dial, DialHandler } from "../../src/runtime/types.ts";
import type { Admissions } from "../../src/server/admissions.ts";
import { Chooser } from "../../src/server/chooser.ts";
import { decide } from "../../src/server/decide.ts";
import type { Gate } from "../../src/server/gate.ts";
import { OptionalLimits } from "../../src/server/optional_limits.ts";
import type { WaitingRoom } from "../../src/server/waiting_room.ts";
import type { SessionContext } from "../../src/session/context.ts";
import { Session } from "../../src/session/session.ts";
import { Outbox } from "../../src/session/outbox.ts";
import { FakeConnection, VirtualTime } from "../support/fake_network.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { SeededRandom } from "../support/seed.ts";

export const ADDRESS_MAX = 4;
export const USERNAME_MAX = 3;
export const LISTENER_MAX = 7;
export const RATES = { listener: { count: 4, perMs: 1_000 }, broker: { count: 3, perMs: 1_000 } } as const;
/** The longest time that passes before promises go on. */
const STEP_MS = 100;
const BROKER_MAX = [2, 3, 4];

/** How a broker treats who dials it. */
type Mood = "well" | "refuses_dial" | "black_hole" | "silent" | "closes" | "says_no";

function configurationOf(random: SeededRandom): Configuration {
  const { configuration, problems } = resolveConfiguration({
    listeners: [{ name: "front", listen: "mqtt://:1", connections_max: LISTENER_MAX, connect_rate: `${RATES.listener.count}/s` }],
    limits: { connections_per_address_max: ADDRESS_MAX, connections_per_username_max: USERNAME_MAX, session_length_max: "6s", answer_timeout: "6s", dial_timeout: "2s" },
    pools: {
      default: {
        balance: random.pick(["round_robin", "least_connections", "random", "client_id", "first"]),
        affinity: random.pick(["none", "session"]),
        brokers: BROKER_MAX.map((max, index) => ({ url: `mqtt://broker-${index}:1883`, connections_max: max, ...(index === 1 && { connect_rate: `${RATES.broker.count}/s` }) })),
        waiting: { clients_max: 4, timeout: "3s" },
      },
    },
  });
  if (configuration === undefined) throw new Error(JSON.stringify(problems));
  return configuration;
}

export interface Visitor {
  readonly connection: FakeConnection;
  readonly address: string;
  readonly username: string | undefined;
  received: Uint8Array;
}

/** Sessions with every limit there is, over a network and in a time of its own. */
export class LimitsWorld {
  readonly time = new VirtualTime();
  readonly wheel = new TimerWheel(0);
  readonly sessions = new Map<Session, Visitor>();
  readonly visitors: Visitor[] = [];
  readonly moods = new Map<Broker, Mood>();
  readonly dialedAt = new Map<Broker, number[]>();
  readonly codes = new Map<string, number>();
  readonly pool: Pool;
  readonly #limits: OptionalLimits;
  readonly #chooser: Chooser;
  readonly #context: SessionContext;
  readonly #random: SeededRandom;
  readonly #gate: Gate | undefined;

  private constructor(random: SeededRandom, configuration: Configuration, chooser: Chooser, limits: OptionalLimits, wheel: TimerWheel) {
    this.#random = random;
    this.wheel = wheel;
    this.#chooser = chooser;
    this.#limits = limits;
    this.pool = [...chooser.pools.values()][0] as Pool;
    for (const broker of this.pool.brokers) this.moods.set(broker, "well");
    this.#gate = random.chance(0.5) ? this.#slowGate() : undefined;
    this.#context = this.#contextOf(configuration);
    this.#tick();
  }

  static async create(random: SeededRandom): Promise<LimitsWorld> {
    const configuration = configurationOf(random);
    const wheel = new TimerWheel(0);
    const chooser = new Chooser(configuration, random.next);
    const limits = await OptionalLimits.load({ configuration, chooser, wheel, system: { random: random.next } });
    return new LimitsWorld(random, configuration, chooser, limits, wheel);
  }

  get admissions(): Admissions {
    return this.#limits.admissions as Admissions;
  }

  get waiting(): WaitingRoom {
    return this.#limits.waiting as WaitingRoom;
  }

  /** Answers late, several clients at once, and now and then not at all. */
  #slowGate(): Gate {
    const admit: Gate["admit"] = (session, choose) => {
      if (this.#random.chance(0.3)) return choose(undefined);
      return new Promise((resolve) => {
        const inMs = Math.ceil((this.time.now + this.#random.integer(1, 300)) / 100) * 100 - this.time.now;
        if (this.#random.chance(0.97)) this.time.after(inMs, () => resolve(session.machine.state === "deciding" ? choose(undefined) : []));
      });
    };
    return { admit, judgeAddress: (_address: string): undefined => undefined } as unknown as Gate;
  }

  #tick(): void {
    this.time.after(TICK_MS, () => {
      this.wheel.advance(this.time.now);
      this.#tick();
    });
  }

  #contextOf({ limits }: Configuration): SessionContext {
    const { wheel, pool } = this;
    return {
      limits,
      wheel,
      outbox: new Outbox((flush) => this.time.after(0, flush)),
      now: () => this.time.now,
      listenerName: "front",
      pool,
      choose: (session) => decide(session, { gate: this.#gate, admissions: this.admissions, waiting: this.waiting, chooser: this.#chooser, wheel }),
      claim: this.#limits.claim as NonNullable<SessionContext["claim"]>,
      dial: (broker, _session, handler) => this.#dial(broker, handler),
      brokerFailed: (broker, _why, by) => void (by === undefined ? broker.failed(wheel.now) : broker.suspected(by.clientId, wheel.now)),
      brokerAnswered: (broker) => broker.succeeded(wheel.now),
      opened: (session) => {
        this.#chooser.opened(session, wheel.now);
        this.#limits.opened(session);
      },
      internalError: (thrown) => { throw thrown; },
      finished: (session) => {
        assert.ok(this.sessions.delete(session), "a session finishes once");
        this.#chooser.finished(session, wheel.now);
        this.#limits.finished(session);
        const { cause } = session.machine;
        this.#count(typeof cause === "object" ? cause.code : String(cause));
      },
    };
  }

  #count(code: string): void {
    this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
  }

  #dial(broker: Broker, handler: DialHandler): Dial {
    let isCancelled = false;
    const mood = this.moods.get(broker) as Mood;
    this.dialedAt.set(broker, [...(this.dialedAt.get(broker) ?? []), this.wheel.now]);
    if (mood !== "black_hole") {
      this.time.after(this.#random.integer(1, 30), () => {
        if (isCancelled) return;
        if (mood === "refuses_dial") return handler.failed({ code: "refused", message: "connection refused" });
        handler.opened(this.#brokerEnd(mood));
      });
    }
    return { cancel: () => { isCancelled = true; } };
  }

  #brokerEnd(mood: Mood): FakeConnection {
    const connection = new FakeConnection(this.time, this.#random, "broker", 1883);
    let received = new Uint8Array(0);
    connection.peer = {
      data: (bytes) => {
        const had = m.readPacket(received) !== undefined;
        received = m.bytes(received, bytes) as Uint8Array<ArrayBuffer>;
        const connect = m.readPacket(received);
        if (had || connect === undefined || mood === "silent") return;
        const version = connect.body[6] === 5 ? 5 : 4;
        if (mood === "closes") connection.peerEnd();
        else connection.peerSend(m.connack({ version, code: mood === "well" ? 0 : version === 5 ? 0x87 : 5 }));
      },
      end: () => connection.peerEnd(),
      closed: () => {},
    };
    return connection;
  }

  /** undefined: the door was shut. */
  visit(address: string, username: string | undefined): Visitor | undefined {
    const connection = new FakeConnection(this.time, this.#random, address, 40_000 + this.visitors.length);
    if (this.admissions.enter(connection, "front", address) !== undefined) {
      this.#count("shut out");
      return undefined;
    }
    const visitor: Visitor = { connection, address, username, received: new Uint8Array(0) };
    connection.peer = { data: (bytes) => { visitor.received = m.bytes(visitor.received, bytes); }, end: () => { if (this.#random.chance(0.9)) connection.peerEnd(); }, closed: () => {} };
    this.sessions.set(new Session(this.#context, connection), visitor);
    this.visitors.push(visitor);
    return visitor;
  }

  stop(): void {
    for (const session of [...this.sessions.keys()]) session.step({ type: "stop", fault: fault("shutting_down", "stopping") });
  }

  /** No limit is passed at any moment. */
  check(): void {
    const beyond = [...this.sessions].filter(([{ machine: { state } }]) => state === "dialing" || state === "awaiting_connack" || state === "relaying");
    const most = (max: number, keys: readonly (string | undefined)[], what: string) => {
      const counts = new Map<string, number>();
      for (const key of keys) if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1);
      for (const [key, count] of counts) assert.ok(count <= max, `${count} of ${what} ${key}`);
    };
    most(ADDRESS_MAX, beyond.map(([, { address }]) => (address === "unix" ? undefined : address)), "the address");
    most(USERNAME_MAX, beyond.map(([, { username }]) => username), "the user");
    most(LISTENER_MAX, beyond.map(() => "front"), "the listener");
    for (const [index, broker] of this.pool.brokers.entries()) {
      const there = [...this.sessions.keys()].filter(({ chosen }) => chosen === broker).length;
      assert.ok(there <= BROKER_MAX[index]!, `${there} at ${broker.name}`);
      assert.ok(broker.sessions >= there && broker.sessions <= BROKER_MAX[index]!, `${broker.name} counts ${broker.sessions} of ${there}`);
    }
    assert.ok(this.waiting.sizeOf(this.pool) <= 4);
  }

  /** Within any window no more than was there at once and what came back; a dial follows its choice within a step of the simulation. */
  checkRates(): void {
    const times = this.dialedAt.get(this.pool.brokers[1] as Broker) ?? [];
    const { count, perMs } = RATES.broker;
    for (let first = 0; first < times.length; first++) {
      for (let last = first; last < times.length; last++) {
        const most = count + ((times[last]! - times[first]! + STEP_MS) * count) / perMs;
        assert.ok(last - first + 1 <= most + 0.01, `${last - first + 1} dials in ${times[last]! - times[first]!} ms`);
      }
    }
  }

  assertNothingLeft(): void {
    assert.equal(this.sessions.size, 0, "sessions are left");
    assert.equal(this.admissions.size, 0, "clients are still counted");
    assert.equal(this.waiting.sizeOf(this.pool), 0, "clients still wait");
    assert.equal(this.wheel.size, 0, "timers are left");
    for (const broker of this.pool.brokers) assert.equal(broker.sessions, 0, `${broker.name} still counts sessions`);
  }
}
