import assert from "node:assert/strict";
import { resolveConfiguration } from "../../src/config/resolve.ts";
import type { ConfigInput } from "../../src/config/schema.ts";
import type { Limits, ListenerConfig } from "../../src/config/types.ts";
import { TICK_MS, TimerWheel } from "../../src/lib/timer_wheel.ts";
import { type FaultCode, fault } from "../../src/mqtt/fault.ts";
import { Pool } from "../../src/pool/pool.ts";
import type { Connection, Handshake, Runtime, SecureHandler, TlsContext } from "../../src/runtime/types.ts";
import { Admissions } from "../../src/server/admissions.ts";
import { type Arrival, arrive } from "../../src/server/arrival.ts";
import type { CertificateStore } from "../../src/server/certificate_store.ts";
import { Entrance, type EntranceOwner, type PassThrough } from "../../src/server/entrance.ts";
import type { SessionContext } from "../../src/session/context.ts";
import type { Origin } from "../../src/session/origin.ts";
import type { Session } from "../../src/session/session.ts";
import { Outbox } from "../../src/session/outbox.ts";
import { FakeConnection, VirtualTime } from "../support/fake_network.ts";
import type { SeededRandom } from "../support/seed.ts";

/** A listener as the configuration has it; its files are not read. */
export function listenerOf(listener: NonNullable<ConfigInput["listeners"]>[number]): { listener: ListenerConfig; limits: Limits } {
  const { configuration, problems } = resolveConfiguration({
    listeners: [listener],
    pools: { default: { brokers: ["mqtt://10.0.0.5"] } },
    limits: { handshake_timeout: "2s", connect_timeout: "1s" },
  });
  if (configuration === undefined) throw new Error(JSON.stringify(problems));
  return { listener: configuration.listeners[0] as ListenerConfig, limits: configuration.limits };
}

/** One client, and what has become of it. */
export interface Visitor {
  readonly address: string;
  /** What is accepted, and what comes out of a handshake. */
  readonly connections: FakeConnection[];
  readonly outcomes: string[];
  readonly origins: Origin[];
}

/** An entrance without sockets: handshakes succeed or fail by chance, and sessions turn every client away. */
export class ArrivalWorld implements EntranceOwner {
  readonly time = new VirtualTime();
  readonly wheel = new TimerWheel(0);
  readonly limits: Limits;
  readonly runtime: Runtime;
  readonly entrance: Entrance;
  /** In some worlds few may come of one address. */
  readonly admissions: Admissions | undefined;
  readonly visitors: Visitor[] = [];
  readonly arrivals = new Set<Arrival>();
  readonly #random: SeededRandom;
  readonly #visitorOf = new Map<unknown, Visitor>();
  readonly #sessions = new Set<Session>();
  #leaving: Visitor | undefined = undefined;

  constructor(random: SeededRandom, options: NonNullable<ConfigInput["listeners"]>[number]) {
    const { listener, limits } = listenerOf(options);
    this.#random = random;
    this.limits = limits;
    this.runtime = { system: { now: () => this.time.now }, secureServer: (...begin: Parameters<Runtime["secureServer"]>) => this.#secure(...begin) } as unknown as Runtime;
    this.admissions = random.chance(0.5) ? new Admissions({ ...limits, connectionsPerAddressMax: 2, connectRatePerAddress: { count: 3, perMs: 1_000 } }, [{ ...listener, connectionsMax: 9 }]) : undefined;
    const certificates = typeof listener.tls === "object" ? ({ choose: () => ({}) as TlsContext } as unknown as CertificateStore) : undefined;
    this.entrance = new Entrance(this, listener, this.#context(listener), { arrive: Entrance.isPlain(listener) ? undefined : arrive, certificates });
    this.#tick();
  }

  #tick(): void {
    this.time.after(TICK_MS, () => {
      this.wheel.advance(this.time.now);
      this.#tick();
    });
  }

  #context({ name }: ListenerConfig): SessionContext {
    const { wheel, limits } = this;
    return {
      limits,
      wheel,
      outbox: new Outbox((flush) => this.time.after(0, flush)),
      now: () => this.time.now,
      listenerName: name,
      pool: new Pool({ name: "default", balance: "round_robin", brokers: [], tls: { caFile: undefined, insecure: false } }),
      choose: () => fault("no_broker", "there is none"),
      dial: () => assert.fail("no broker to dial"),
      brokerFailed() {},
      brokerAnswered() {},
      opened() {},
      internalError: (thrown) => { throw thrown; },
      finished: (session) => {
        this.admissions?.left(session.client);
        assert.ok(this.#sessions.delete(session), "a session finishes once");
      },
    };
  }

  /** The connection is dead from here on, as the runtime layer promises. */
  #secure(connection: Connection, _first: Uint8Array, _context: TlsContext, handler: SecureHandler): Handshake {
    const plain = connection as FakeConnection;
    const visitor = this.#visitorOf.get(plain) as Visitor;
    let isOver = false;
    const settle = (outcome: () => void) => this.time.after(this.#random.integer(1, 3_000), () => {
      if (isOver) return;
      isOver = true;
      plain.handler = DEAD;
      plain.reset();
      outcome();
    });
    plain.handler = DEAD;
    if (this.#random.chance(0.3)) settle(() => handler.failed({ code: "tls", message: "TLS handshake: not this one" }));
    else settle(() => handler.secured(this.#admit(visitor), { version: "1.3", alpn: undefined, certificate: undefined }));
    return {
      cancel: () => {
        assert.ok(!isOver, "a handshake that is over is not cancelled");
        isOver = true;
        plain.reset();
      },
    };
  }

  visit(address: string): Visitor {
    const visitor: Visitor = { address, connections: [], outcomes: [], origins: [] };
    this.visitors.push(visitor);
    this.entrance.accepted(this.#admit(visitor));
    return visitor;
  }

  #admit(visitor: Visitor): FakeConnection {
    const connection = new FakeConnection(this.time, this.#random, visitor.address, 50_000 + this.visitors.length);
    connection.peer = { data() {}, end() {}, closed() {} };
    connection.handler = DEAD;
    visitor.connections.push(connection);
    this.#visitorOf.set(connection, visitor);
    return connection;
  }

  arrived(arrival: Arrival): void {
    this.arrivals.add(arrival);
    this.#visitorOf.set(arrival, this.visitors.at(-1) as Visitor);
  }

  left(arrival: Arrival): void {
    assert.ok(this.arrivals.delete(arrival), "an arrival leaves once");
    this.#leaving = this.#visitorOf.get(arrival);
  }

  refused(_entrance: Entrance, client: Pick<Arrival, "address">, code: FaultCode, why: string): void {
    assert.ok(why !== "", "a refusal has a reason");
    (this.#visitorOf.get(client) ?? (this.visitors.at(-1) as Visitor)).outcomes.push(code);
  }

  began(session: Session): void {
    this.#sessions.add(session);
    const visitor = this.#leaving ?? (this.visitors.at(-1) as Visitor);
    visitor.outcomes.push("session");
    if (session.origin !== undefined) visitor.origins.push(session.origin);
  }

  passThrough(_entrance: Entrance, connection: Connection, { origin }: PassThrough): void {
    const visitor = this.#visitorOf.get(connection) as Visitor;
    visitor.outcomes.push("tunnel");
    visitor.origins.push(origin);
    this.admissions?.left(connection);
    connection.handler = DEAD;
    connection.reset();
  }

  /** As when the server stops. */
  abandonAll(): void {
    for (const arrival of [...this.arrivals]) arrival.abandon("shutting_down", "sluice is stopping");
  }

  assertNothingLeft(): void {
    assert.equal(this.arrivals.size, 0, "arrivals are left");
    assert.equal(this.#sessions.size, 0, "sessions are left");
    assert.equal(this.admissions?.size ?? 0, 0, "clients are still counted");
    assert.equal(this.wheel.size, 0, "timers are left");
    for (const { connections } of this.visitors) for (const connection of connections) assert.ok(connection.isClosed, "a connection is left open");
  }
}

const DEAD = { data() {}, drain() {}, end() {}, close() {} };
