import assert from "node:assert/strict";
import { TimerWheel } from "../../src/lib/timer_wheel.ts";
import type { Choice } from "../../src/pool/balance/types.ts";
import type { Broker } from "../../src/pool/broker.ts";
import type { AdminState } from "../../src/pool/broker_state.ts";
import { HealthCheck, type HealthInput, type ProbeResult } from "../../src/pool/health.ts";
import type { Pool } from "../../src/pool/pool.ts";
import { FAILURES_MAX } from "../../src/pool/settings.ts";
import { WaitingLine } from "../../src/pool/waiting_line.ts";
import { Evictions, LOOK_EVERY_MS } from "../../src/server/evictions.ts";
import type { Tunnel } from "../../src/session/tunnel.ts";
import type { SeededRandom } from "../support/seed.ts";
import { Oracle } from "./oracle.ts";
import { createPool } from "./pools.ts";
import type { Scenario } from "./scenario.ts";

/** What a broker really does: nothing that is tested may look at it. */
export type Truth = "well" | "dead" | "refuses" | "hangs";

export const TICK_MS = 250;
/** How long a client waits for a CONNACK that does not come. */
const PATIENCE_MS = 3_000;
/** In which clients have to leave a broker that went down, or that does not serve any more. */
const WINDOW_MS = 10_000;
/** That it is time to go is seen with the next look. */
const ELSEWHERE_MAX_MS = WINDOW_MS + LOOK_EVERY_MS;

/** What evictions see of it is a tunnel: no machine, and an end. */
class Client implements Pick<Tunnel, "pool" | "chosen" | "isOpen" | "end"> {
  readonly id: string;
  readonly username: string;
  readonly address: string;
  /** How long its broker keeps its session; 0: it begins clean, and nothing is kept. */
  readonly expiryMs: number;
  readonly pool: Pool;
  /** Where it is, the place in that broker's list, since when, and the connection's identity. */
  chosen: Broker | undefined = undefined;
  place = 0;
  since = 0;
  holder = {};
  /** An older connection that the proxy has not yet seen end: the network was gone, and the client comes again before. */
  lateEnd: object | undefined = undefined;
  /** Which broker holds its session, and until when once it left: the truth that affinity must not miss. */
  owner: Broker | undefined = undefined;
  ownedUntil = 0;
  readonly #lost: (client: Client) => void;

  constructor(index: number, pool: Pool, lost: (client: Client) => void) {
    this.id = `client-${index}`;
    this.username = `user-${index}`;
    this.address = `10.0.${index >> 8}.${index & 255}`;
    this.expiryMs = pool.affinity !== undefined && index % 2 === 0 ? 10_000 * (1 + (index % 7)) : 0;
    this.pool = pool;
    this.#lost = lost;
  }

  get isOpen(): boolean {
    return this.chosen !== undefined;
  }

  end(): void {
    this.#lost(this);
  }
}

/** One walk through an order. */
interface Walk {
  readonly client: Client;
  readonly choice: Choice;
  readonly order: readonly Broker[];
  /** They did not answer its CONNECT: that counts when another one does. */
  readonly suspects: Broker[];
  index: number;
}

/** Thousands of clients, the brokers of one pool and everything in between that decides, in virtual time. */
export class Simulation {
  now = 0;
  readonly pool: Pool;
  readonly oracle: Oracle;
  readonly clients: readonly Client[];
  readonly truths = new Map<Broker, Truth>();
  readonly line: WaitingLine<Client>;
  /** Orders that were asked for. */
  orders = 0;
  readonly #random: SeededRandom;
  readonly #wheel = new TimerWheel(0);
  readonly #evictions: Evictions;
  /** `fail_over = "all"`: who serves everybody, and since when. */
  #elected: { readonly broker: Broker; readonly since: number } | undefined = undefined;
  readonly #checks = new Map<Broker, HealthCheck>();
  readonly #at = new Map<Broker, Client[]>();
  /** Who does what at which tick. */
  readonly #arrivals: (Client[] | undefined)[] = [];
  readonly #answers: (Walk[] | undefined)[] = [];

  constructor(random: SeededRandom, scenario: Scenario) {
    this.#random = random;
    this.pool = createPool(scenario.balance, scenario.brokers, { ...scenario.settings, evictWithinMs: WINDOW_MS });
    this.oracle = new Oracle(this.pool, { failuresMax: FAILURES_MAX[scenario.settings.failOver ?? "each"], returnAfterMs: scenario.settings.returnAfterMs ?? 0 });
    this.line = new WaitingLine({ waitersMax: 500, waitMs: 5_000 });
    for (const broker of this.pool.brokers) {
      this.truths.set(broker, "well");
      this.#at.set(broker, []);
      this.oracle.of(broker).sessionsMax = broker.config.name in scenario.caps ? (scenario.caps[broker.name] as number) : Infinity;
      if (scenario.hasProbes) this.#checks.set(broker, new HealthCheck(scenario.health, random.next, 0));
    }
    this.clients = Array.from({ length: scenario.clients }, (_, index) => new Client(index, this.pool, (client) => this.#lost(client)));
    this.#evictions = new Evictions({ pools: [this.pool], guests: () => this.clients as unknown as Tunnel[], wheel: this.#wheel });
  }

  sessionsOf(broker: Broker): number {
    return this.#clientsAt(broker).length;
  }

  choiceOf(client: Client): Choice {
    const preferred = client.expiryMs === 0 ? undefined : this.pool.affinity?.find(client.id, this.now);
    return { key: client.id, username: client.username, address: client.address, preferred, random: this.#random.next };
  }

  /** The client comes in so many milliseconds. */
  arrive(client: Client, inMs: number): void {
    this.#schedule(this.#arrivals, client, inMs);
  }

  setTruth(broker: Broker, truth: Truth): void {
    this.truths.set(broker, truth);
    if (truth !== "dead") return;
    for (const client of [...this.#clientsAt(broker)]) this.#lost(client);
  }

  setAdmin(broker: Broker, to: AdminState): void {
    broker.setAdmin(to, this.now, "the operator wants it");
    this.oracle.setAdmin(broker, to, this.now);
    this.#letIn(broker);
    if (to === "maint") this.#evictions.empty(broker);
  }

  /** A client goes, and comes back a little later. */
  leave(client: Client, backInMs: number): void {
    if (client.chosen === undefined) return;
    if (client.expiryMs > 0 && this.#random.chance(0.3)) this.#disconnect(client, this.#random.pick([0, 1_000, 3 * client.expiryMs]));
    else this.#close(client);
    this.arrive(client, backInMs);
  }

  runUntil(time: number): void {
    while (this.now < time) {
      this.now += TICK_MS;
      const tick = this.now / TICK_MS;
      this.#tickChecks();
      for (const walk of this.#take(this.#answers, tick)) this.#answered(walk);
      for (const client of this.line.expire(this.now)) this.#comeAgain(client);
      for (const client of this.#take(this.#arrivals, tick)) this.#connect(client);
      this.#wheel.advance(this.now);
      this.#checkSides();
    }
  }

  #clientsAt(broker: Broker): Client[] {
    return this.#at.get(broker) as Client[];
  }

  #schedule<T>(agenda: (T[] | undefined)[], entry: T, inMs: number): void {
    const tick = Math.ceil((this.now + Math.max(1, inMs)) / TICK_MS);
    (agenda[tick] ??= []).push(entry);
  }

  #take<T>(agenda: (T[] | undefined)[], tick: number): readonly T[] {
    const entries = agenda[tick] ?? [];
    agenda[tick] = undefined;
    return entries;
  }

  #comeAgain(client: Client): void {
    this.arrive(client, this.#random.integer(2_000, 12_000));
  }

  #connect(client: Client): void {
    if (client.chosen !== undefined) return;
    const choice = this.choiceOf(client);
    this.#checkAffinity(client, choice);
    const order = this.pool.order(choice, this.now);
    this.orders++;
    this.#checkOrder(order, choice);
    if (order.length > 0) return this.#walk({ client, choice, order, suspects: [], index: -1 });
    if (this.pool.whyNone(choice, this.now) !== "full" || !this.line.join(client, this.now)) this.#comeAgain(client);
  }

  #checkOrder(order: readonly Broker[], { preferred }: Choice): void {
    const elected = this.pool.elected(this.now);
    if (elected === undefined) this.oracle.checkOrder(order, preferred, this.now);
    else this.oracle.checkElected(elected, order, this.now);
  }

  /** A session that a broker still holds is known to the pool, whatever happened since. */
  #checkAffinity(client: Client, { preferred }: Choice): void {
    if (client.owner === undefined || client.expiryMs === 0) return;
    if (this.now < client.ownedUntil && preferred !== client.owner) assert.fail(`${client.id}: its session is lost`);
  }

  /** The next broker of an order that still takes the client. */
  #walk(walk: Walk): void {
    const { order, choice, client } = walk;
    while (++walk.index < order.length) {
      const broker = order[walk.index] as Broker;
      if (!this.pool.accepts(broker, choice, this.now)) continue;
      this.oracle.checkChosen(broker, choice.preferred, this.now);
      broker.sessions++;
      this.oracle.of(broker).sessions++;
      const truth = this.truths.get(broker);
      if (truth === "well") return this.#open(walk, broker);
      if (truth === "hangs") return this.#schedule(this.#answers, walk, PATIENCE_MS);
      this.#notTaken(broker);
      broker.failed(this.now, "connection refused");
      this.oracle.failed(broker, this.now);
      this.#feed(broker, { type: "client_failed" });
    }
    this.#comeAgain(client);
  }

  /** A broker that hung has come round, or the client has lost its patience. */
  #answered(walk: Walk): void {
    const broker = walk.order[walk.index] as Broker;
    if (this.truths.get(broker) === "well") return this.#open(walk, broker);
    this.#notTaken(broker);
    walk.suspects.push(broker);
    this.#feed(broker, { type: "client_failed" });
    this.#walk(walk);
  }

  #notTaken(broker: Broker): void {
    broker.sessions--;
    this.oracle.of(broker).sessions--;
    this.#letIn(broker);
  }

  /** CONNACK with success. Who comes too late to a broker is found like those who were there before. */
  #open({ client, suspects }: Walk, broker: Broker): void {
    for (const suspect of suspects) {
      const before = suspect.failures;
      suspect.suspected(client.id, this.now);
      if (suspect.failures > before) this.oracle.failed(suspect, this.now);
    }
    broker.succeeded(this.now);
    this.oracle.succeeded(broker, this.now);
    const list = this.#clientsAt(broker);
    client.chosen = broker;
    client.place = list.push(client) - 1;
    client.since = this.now;
    client.holder = {};
    client.owner = client.expiryMs > 0 ? broker : undefined;
    client.ownedUntil = Infinity;
    this.pool.affinity?.opened({ clientId: client.id, broker, cleanStart: client.expiryMs === 0, expiryMs: client.expiryMs, holder: client.holder }, this.now);
    if (client.lateEnd !== undefined) this.pool.affinity?.closed(client.id, client.lateEnd, this.now);
    client.lateEnd = undefined;
    if (this.oracle.of(broker).admin === "maint") this.#evictions.empty(broker);
  }

  /** It says itself how long its session shall be kept: MQTT 5 section 3.14.2.2.2. */
  #disconnect(client: Client, expiryMs: number): void {
    this.pool.affinity?.setExpiry(client.id, client.holder, expiryMs);
    this.pool.affinity?.closed(client.id, client.holder, this.now);
    client.ownedUntil = this.now + expiryMs;
    this.#vacate(client);
  }

  /** The connection ends without a word. */
  #close(client: Client): void {
    if (client.owner !== undefined && this.#random.chance(0.1)) client.lateEnd = client.holder;
    else {
      client.ownedUntil = this.now + client.expiryMs;
      this.pool.affinity?.closed(client.id, client.holder, this.now);
    }
    this.#vacate(client);
  }

  /** Who waited may have the room. */
  #vacate(client: Client): void {
    const broker = client.chosen as Broker;
    const list = this.#clientsAt(broker);
    const last = list.pop() as Client;
    if (last !== client) {
      list[client.place] = last;
      last.place = client.place;
    }
    client.chosen = undefined;
    this.#notTaken(broker);
  }

  #lost(client: Client): void {
    this.#close(client);
    this.arrive(client, this.#random.integer(0, 4_000));
  }

  /** Nobody who waits is let in where nobody may be. */
  #letIn(broker: Broker): void {
    if (this.line.size === 0 || !this.oracle.admits(broker, undefined) || this.oracle.isDown(broker, this.now)) return;
    const client = this.line.next(() => broker.hasRoom);
    if (client !== undefined) this.arrive(client, 0);
  }

  #tickChecks(): void {
    for (const [broker, check] of this.#checks) if (check.dueAt <= this.now) this.#feed(broker, { type: "tick" });
  }

  #feed(broker: Broker, input: HealthInput): void {
    for (const output of this.#checks.get(broker)?.step(input, this.now) ?? []) {
      if (output.do === "probe") this.#probe(broker, output.probe);
      if (output.do !== "mark") continue;
      broker.probed(output.health, this.now, output.cause);
      this.oracle.probed(broker, output.health, this.now);
      if (output.health === "down") this.#evictions.empty(broker);
      if (output.health === "up") this.#letIn(broker);
    }
  }

  #probe(broker: Broker, probe: number): void {
    const truth = this.truths.get(broker);
    if (truth === "hangs") return;
    const result: ProbeResult = truth === "well" ? { ok: true, code: 0, milliseconds: 3 } : { ok: false, why: "connection refused", milliseconds: 1 };
    this.#feed(broker, { type: "answered", probe, result });
  }

  /** Everybody is with the elected one, or on the way there: since that became it, or is good again, or the client came. */
  #checkSides(): void {
    const elected = this.pool.elected(this.now);
    if (elected === undefined) return;
    if (this.#elected?.broker !== elected) this.#elected = { broker: elected, since: this.now };
    if (!this.oracle.isGood(elected)) return;
    const mustMoveSince = Math.max(this.#elected.since, this.oracle.of(elected).goodSince);
    for (const broker of this.pool.brokers) {
      if (broker === elected) continue;
      for (const { id, since } of this.#clientsAt(broker)) {
        const tooLong: number = this.now - Math.max(since, mustMoveSince);
        if (tooLong > ELSEWHERE_MAX_MS) assert.fail(`${id} is on ${broker.name} for ${tooLong} ms, and ${elected.name} serves everybody`);
      }
    }
  }
}
