import assert from "node:assert/strict";
import type { Limits } from "../../src/config/types.ts";
import { TICK_MS, TimerWheel } from "../../src/lib/timer_wheel.ts";
import { fault } from "../../src/mqtt/fault.ts";
import type { Broker } from "../../src/pool/broker.ts";
import { Pool } from "../../src/pool/pool.ts";
import type { Dial, DialHandler } from "../../src/runtime/types.ts";
import type { SessionContext } from "../../src/session/context.ts";
import { Session } from "../../src/session/session.ts";
import { Outbox } from "../../src/session/outbox.ts";
import { FakeConnection, VirtualTime } from "../support/fake_network.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { SeededRandom } from "../support/seed.ts";

/** How a broker treats those who dial it; it may change at any moment. */
export type Mood = "well" | "refuses_dial" | "black_hole" | "silent" | "closes" | "resets" | "garbage" | "says_no" | "frozen";

const LIMITS: Limits = {
  connectionsMax: 1000, connectTimeoutMs: 10_000, connectSizeMax: 65_536, packetSizeMax: 100_000, handshakeTimeoutMs: 10_000,
  dialTimeoutMs: 5_000, answerTimeoutMs: 15_000, bufferSizeMax: 2_000, stallTimeoutMs: 60_000, drainTimeoutMs: 10_000,
};

/** One client as the far end of a fake connection: a script of what it sends, and a record of what it sees. */
export class FakeClient {
  readonly connection: FakeConnection;
  readonly version: 3 | 4 | 5;
  readonly id: string;
  /** The legal bytes it has sent so far: what the broker may see, and nothing else. */
  legal: Uint8Array = new Uint8Array(0);
  received: Uint8Array = new Uint8Array(0);
  isHonest: boolean;
  isGone = false;
  sawEnd = false;
  /** It was asked to leave while its session ran. */
  wasMoved = false;

  constructor(connection: FakeConnection, id: string, version: 3 | 4 | 5, isHonest: boolean) {
    this.connection = connection;
    this.id = id;
    this.version = version;
    this.isHonest = isHonest;
    connection.peer = {
      data: (bytes) => { this.received = m.bytes(this.received, bytes); },
      end: () => { this.sawEnd = true; },
      closed: () => { this.isGone = true; },
    };
  }

  send(bytes: Uint8Array): void {
    this.legal = m.bytes(this.legal, bytes);
    this.connection.peerSend(bytes);
  }

  get connackCode(): number | undefined {
    return m.readPacket(this.received)?.type === 2 ? (m.readPacket(this.received) as m.RawPacket).body[1] : undefined;
  }
}

/** One connection at a broker. */
export class BrokerConnection {
  readonly connection: FakeConnection;
  readonly mood: Mood;
  received: Uint8Array = new Uint8Array(0);
  sent: Uint8Array = new Uint8Array(0);
  isGone = false;
  /** The broker itself has ended it. */
  wasEnded = false;
  #answered = false;
  readonly #simulation: Simulation;

  constructor(simulation: Simulation, connection: FakeConnection, mood: Mood) {
    this.#simulation = simulation;
    this.connection = connection;
    this.mood = mood;
    connection.peer = {
      data: (bytes) => this.#data(bytes),
      end: () => connection.peerEnd(), // a broker closes when its client does
      closed: () => { this.isGone = true; },
    };
    if (mood === "frozen") connection.peerReads(false);
  }

  /** Of the CONNECT that it heard; ids end in a dot, so that one is never the beginning of another. */
  get clientId(): string {
    return /client-\d+\./.exec(String.fromCharCode(...this.received.subarray(0, 200)))?.[0] ?? "";
  }

  send(bytes: Uint8Array): void {
    this.sent = m.bytes(this.sent, bytes);
    this.connection.peerSend(bytes);
  }

  #data(bytes: Uint8Array): void {
    this.received = m.bytes(this.received, bytes);
    const connect = m.readPacket(this.received);
    if (connect === undefined || this.#answered) return;
    this.#answered = true;
    assert.equal(connect.type, 1, "a broker's first packet is CONNECT");
    const version = connect.whole.includes(5, 8) && connect.body[6] === 5 ? 5 : 4;
    switch (this.mood) {
      case "closes": return this.connection.peerEnd();
      case "resets": return this.connection.peerReset();
      case "garbage": return this.connection.peerSend(m.hex("30 00 ff ff ff"));
      case "says_no": return this.send(m.connack({ version, code: version === 5 ? 0x87 : 5 }));
      case "silent": return;
      default: return this.send(m.connack({ version }));
    }
  }

  end(how: "fin" | "reset"): void {
    this.wasEnded = true;
    if (how === "fin") this.connection.peerEnd();
    else this.connection.peerReset();
  }

  get isOpen(): boolean {
    return this.#answered && !this.isGone && this.mood === "well";
  }

  /** Some traffic towards the client. */
  chatter(random: SeededRandom): void {
    const version = m.readPacket(this.received)?.body[6] === 5 ? 5 : 4;
    this.send(m.publish({ version, topic: "down", payload: random.bytes(random.pick([0, 5, 300, 5_000])) }));
  }

  get simulation(): Simulation {
    return this.#simulation;
  }
}

/** Sessions, a pool and its brokers in virtual time. */
export class Simulation {
  readonly time = new VirtualTime();
  readonly wheel = new TimerWheel(0);
  readonly pool: Pool;
  readonly moods = new Map<Broker, Mood>();
  readonly clients: FakeClient[] = [];
  readonly brokerConnections: BrokerConnection[] = [];
  readonly sessions = new Set<Session>();
  readonly causes: string[] = [];
  readonly #random: SeededRandom;
  readonly #context: SessionContext;

  constructor(random: SeededRandom, brokers: number) {
    this.#random = random;
    const names = Array.from({ length: brokers }, (_, index) => `broker-${index}:1883`);
    this.pool = new Pool({
      name: "default",
      balance: random.pick(["round_robin", "least_connections", "random", "client_id"]),
      affinity: random.pick(["none", "session"]), // "session": a DISCONNECT of MQTT 5 is held until it is whole
      brokers: names.map((name) => ({ name, scheme: "mqtt", host: name, port: 1883, weight: random.integer(1, 3), username: undefined, password: undefined, passwordFile: undefined })),
      tls: { caFile: undefined, insecure: false },
    });
    for (const broker of this.pool.brokers) this.moods.set(broker, "well");
    this.#context = {
      limits: LIMITS,
      wheel: this.wheel,
      outbox: new Outbox((flush) => this.time.after(0, flush)),
      now: () => this.time.now,
      listenerName: "main",
      pool: this.pool,
      choose: (session) => this.pool.order({ key: session.clientId, random: random.next }, this.time.now),
      dial: (broker, _session, handler) => this.#dial(broker, handler),
      brokerFailed: (broker, _why, by) => void (by === undefined ? broker.failed(this.time.now) : broker.suspected(by.clientId, this.time.now)),
      internalError: (thrown) => { throw thrown; },
      brokerAnswered: (broker) => broker.succeeded(),
      redirects: { refused: (session, { code }, frame) => this.#sendOn(session, code, frame), disconnected: (_session, frame) => frame },
      opened: () => {},
      finished: (session) => {
        assert.ok(this.sessions.delete(session), "a session finishes once");
        const { cause } = session.machine;
        this.causes.push(typeof cause === "object" ? cause.code : String(cause));
      },
    };
    this.#tick();
  }

  #tick(): void {
    this.time.after(TICK_MS, () => {
      this.wheel.advance(this.time.now);
      this.#tick();
    });
  }

  /** Some refusals name another broker, at once or when somebody was asked; some of those then turn out to name none. */
  #sendOn(session: Session, code: number, connack: Uint8Array): boolean {
    if (session.machine.isCommitted || this.#random.chance(0.5)) return false;
    session.leaveBroker();
    const goOn = () => {
      if (this.#random.chance(0.3)) session.passRefusal(connack, code);
      else session.sendTo(this.#random.pick(this.pool.brokers));
    };
    if (this.#random.chance(0.5)) goOn();
    else this.time.after(this.#random.integer(1, 4_000), goOn);
    return true;
  }

  #dial(broker: Broker, handler: DialHandler): Dial {
    let isCancelled = false;
    const mood = this.moods.get(broker) as Mood;
    if (mood !== "black_hole") {
      this.time.after(this.#random.integer(1, 30), () => {
        if (isCancelled) return;
        if (mood === "refuses_dial") return handler.failed({ code: "refused", message: "connection refused" });
        const connection = new FakeConnection(this.time, this.#random, broker.name, 1883);
        this.brokerConnections.push(new BrokerConnection(this, connection, mood));
        handler.opened(connection);
      });
    }
    return { cancel: () => { isCancelled = true; } };
  }

  connectClient(isHonest: boolean): FakeClient {
    const connection = new FakeConnection(this.time, this.#random, "10.0.0.9", 40_000 + this.clients.length);
    const version = this.#random.pick([3, 4, 5] as const);
    const client = new FakeClient(connection, `client-${this.clients.length}.`, version, isHonest);
    this.sessions.add(new Session(this.#context, connection));
    this.clients.push(client);
    return client;
  }

  /** Some client has to go, as it is when brokers are emptied, clients moved, or ids taken over. */
  leave(): void {
    const session = this.#random.pick([...this.sessions]);
    const client = this.clients.find(({ connection }) => connection === session.client) as FakeClient;
    if (session.machine.state === "relaying") client.wasMoved = true;
    session.step({ type: "leave", fault: fault("rebalanced", "another broker has more room") });
  }

  drain(): void {
    for (const session of [...this.sessions]) session.step({ type: "drain", fault: fault("shutting_down", "stopping") });
  }

  stop(): void {
    for (const session of [...this.sessions]) session.step({ type: "stop", fault: fault("shutting_down", "stopping") });
  }
}
