import type { Limits } from "../config/types.ts";
import type { Listed } from "../lib/roster.ts";
import type { Timed, TimerWheel } from "../lib/timer_wheel.ts";
import { type Fault, fault } from "../mqtt/fault.ts";
import type { Broker } from "../pool/broker.ts";
import type { Pool } from "../pool/pool.ts";
import type { Connection, ConnectionHandler, Dial, DialHandler, NetworkError } from "../runtime/types.ts";
import { Backlog } from "./backlog.ts";
import { PROBE_AFTER_MS } from "./idle.ts";
import type { Origin } from "./origin.ts";
import { FORGOTTEN } from "./sides.ts";

/** What a tunnel needs of the world around it. */
export interface TunnelContext {
  readonly limits: Limits;
  readonly wheel: TimerWheel;
  now(): number;
  readonly listenerName: string;
  /** As a session's. */
  claim?(broker: Broker, tunnel: Tunnel): Fault | undefined;
  dial(broker: Broker, tunnel: Tunnel, handler: DialHandler): Dial;
  brokerFailed(broker: Broker, fault: Fault): void;
  brokerAnswered(broker: Broker): void;
  opened(tunnel: Tunnel): void;
  /** Both connections are gone. Called once. */
  finished(tunnel: Tunnel): void;
}

/** What a tunnel begins with. */
export interface TunnelBegin {
  readonly origin: Origin;
  /** All that was read of the client. */
  readonly hello: Uint8Array;
  readonly pool: Pool;
  /** The rule that chose the pool; undefined: the listener's own. */
  readonly routeName: string | undefined;
  /** The brokers to try, best first. */
  readonly order: readonly Broker[];
  /** Why there are none to try. */
  readonly refused?: Fault | undefined;
}

/** `awaiting_client`, `awaiting_broker`: the other side has ended. `closing`: both have. */
type State = "dialing" | "relaying" | "awaiting_client" | "awaiting_broker" | "closing" | "closed";
type Side = "client" | "broker";
const SIDES: readonly Side[] = ["client", "broker"];
const OTHER = { client: "broker", broker: "client" } as const;

/**
 * A client whose TLS is passed through: the broker does it, so nothing is known but what the ClientHello says, and bytes only move. There is
 * no MQTT to refuse it in: whatever goes wrong ends in a close.
 */
export class Tunnel implements Timed, Listed, DialHandler {
  readonly context: TunnelContext;
  readonly client: Connection;
  readonly origin: Origin;
  readonly pool: Pool;
  readonly routeName: string | undefined;
  readonly startedAt: number;
  broker: Connection | undefined = undefined;
  chosen: Broker | undefined = undefined;
  bytesUpstream = 0;
  bytesDownstream = 0;
  /** Why it ended, when not in order. */
  cause: Fault | undefined = undefined;
  isOpen = false;

  timerSlot: Timed["timerSlot"] = undefined;
  timerNext: Timed | undefined = undefined;
  timerPrevious: Timed | undefined = undefined;
  timerTick = 0;
  rosterPlace = -1;

  #state: State = "dialing";
  #order: readonly Broker[];
  #attempt = -1;
  #answerBy: number;
  #dial: Dial | undefined = undefined;
  #lastFailure: Fault | undefined = undefined;
  #hello: Uint8Array | undefined;
  readonly #backlogs: Readonly<Record<Side, Backlog>> = { client: new Backlog(), broker: new Backlog() };

  constructor(context: TunnelContext, client: Connection, begin: TunnelBegin) {
    this.context = context;
    this.client = client;
    this.origin = begin.origin;
    this.pool = begin.pool;
    this.routeName = begin.routeName;
    this.#order = begin.order;
    this.#lastFailure = begin.refused;
    this.#hello = begin.hello;
    this.startedAt = context.now();
    this.#answerBy = context.wheel.now + context.limits.answerTimeoutMs;
    client.owner = this;
    client.handler = FROM_CLIENT;
    // Nothing more is read until there is somewhere to put it.
    client.pause();
  }

  /** Begins to dial. Not part of the constructor: a dial may look at the tunnel. */
  start(): void {
    this.#dialNext();
  }

  #dialNext(): void {
    const broker = this.#order[++this.#attempt];
    if (broker === undefined) return this.end(this.#lastFailure ?? fault("no_broker", "no broker is left to try"));
    const { wheel, limits } = this.context;
    const notNow = this.context.claim?.(broker, this);
    if (notNow !== undefined) {
      this.#lastFailure = notNow;
      return this.#dialNext();
    }
    this.chosen = broker;
    broker.sessions++;
    wheel.set(this, Math.min(limits.dialTimeoutMs, Math.max(0, this.#answerBy - wheel.now)));
    this.#dial = this.context.dial(broker, this, this);
  }

  failed(error: NetworkError): void {
    this.#attemptFailed(fault("broker_unreachable", error.message));
  }

  #attemptFailed(why: Fault): void {
    if (this.#state !== "dialing") return;
    this.#dial = undefined;
    this.#lastFailure = why;
    this.context.brokerFailed(this.chosen as Broker, why);
    this.#leaveBroker();
    if (this.context.wheel.now >= this.#answerBy) this.end(why);
    else this.#dialNext();
  }

  opened(connection: Connection): void {
    this.#dial = undefined;
    this.#state = "relaying";
    this.broker = connection;
    this.isOpen = true;
    connection.owner = this;
    connection.handler = FROM_BROKER;
    this.context.wheel.clear(this);
    this.context.brokerAnswered(this.chosen as Broker);
    this.context.opened(this);
    this.client.setKeepAlive(PROBE_AFTER_MS);
    connection.setKeepAlive(PROBE_AFTER_MS);
    const hello = this.#hello as Uint8Array;
    this.#hello = undefined;
    this.client.resume();
    this.fromClient(hello);
  }

  fromClient(chunk: Uint8Array): void {
    this.bytesUpstream += chunk.length;
    const broker = this.broker as Connection;
    if (!broker.write(chunk)) this.#stalled("broker", broker, this.client);
  }

  fromBroker(chunk: Uint8Array): void {
    this.bytesDownstream += chunk.length;
    if (!this.client.write(chunk)) this.#stalled("client", this.client, this.broker as Connection);
  }

  #stalled(side: Side, slow: Connection, source: Connection): void {
    const { wheel, limits } = this.context;
    source.pause();
    this.#backlogs[side].begin(slow, wheel.now);
    // The deadline of an ending tunnel stays, and so does one that another backlog has begun.
    if (this.timerSlot === undefined) wheel.set(this, limits.stallTimeoutMs);
  }

  drained(side: Side): void {
    this.#backlogs[side].end();
    this.#side(OTHER[side])?.resume();
  }

  #side(side: Side): Connection | undefined {
    return side === "client" ? this.client : this.broker;
  }

  /** A FIN goes on to the other side; the opposite direction has a bounded time left. */
  peerEnded(side: Side): void {
    if (this.#state === "dialing") return this.end(fault("client_lost", "closed by the client before a broker was reached"));
    this.#side(OTHER[side])?.end();
    this.#await(this.#state === "relaying" ? `awaiting_${OTHER[side]}` : "closing");
  }

  /** One connection is gone: the other one gets what waits for it, and a FIN behind that. */
  closed(side: Side, error: NetworkError | undefined): void {
    if (this.#state === "closed") return;
    if (error !== undefined) this.cause ??= fault(error.code === "internal" ? "internal_error" : `${side}_lost`, error.message);
    if (this.#state === "dialing") return this.end(undefined);
    const [gone, other] = [this.#side(side) as Connection, this.#side(OTHER[side]) as Connection];
    gone.handler = FORGOTTEN;
    if (other.handler === FORGOTTEN) return this.#finish();
    other.end();
    other.resume(); // of a paused one no FIN would be seen
    this.#await(`awaiting_${OTHER[side]}`);
  }

  #await(state: State): void {
    this.#state = state;
    this.context.wheel.set(this, this.context.limits.stallTimeoutMs);
  }

  /** Ends both sides now. */
  end(why: Fault | undefined): void {
    if (this.#state === "closed") return;
    this.cause ??= why;
    this.#dial?.cancel();
    this.#dial = undefined;
    this.client.handler = FORGOTTEN;
    this.client.reset();
    if (this.broker !== undefined) {
      this.broker.handler = FORGOTTEN;
      this.broker.reset();
    }
    this.#finish();
  }

  expired(): void {
    if (this.#state === "dialing") {
      this.#dial?.cancel();
      return this.#attemptFailed(fault("broker_timeout", "the broker could not be reached in time"));
    }
    if (this.#state === "relaying") return this.#lookAtBacklogs();
    this.end(fault(`${this.#late}_stalled`, `the ${this.#late} did not take the rest, or did not close, in time`));
  }

  #lookAtBacklogs(): void {
    const { wheel, limits: { stallTimeoutMs } } = this.context;
    let due = Infinity;
    for (const side of SIDES) {
      const stalledMs = this.#backlogs[side].look(this.#side(side) as Connection, wheel.now);
      if (stalledMs === undefined) continue;
      if (stalledMs >= stallTimeoutMs) return this.end(fault(`${side}_stalled`, `the ${side} took nothing for ${Math.round(stallTimeoutMs / 1000)} s`));
      due = Math.min(due, stallTimeoutMs - stalledMs);
    }
    if (due !== Infinity) wheel.set(this, due);
  }

  /** Who keeps an ending tunnel from its end. */
  get #late(): Side {
    if (this.client.bufferedBytes > 0) return "client";
    if ((this.broker as Connection).bufferedBytes > 0) return "broker";
    return this.#state === "awaiting_client" ? "client" : "broker";
  }

  #leaveBroker(): void {
    if (this.chosen !== undefined) this.chosen.sessions--;
    this.chosen = undefined;
  }

  #finish(): void {
    this.#state = "closed";
    this.context.wheel.clear(this);
    try {
      this.context.finished(this);
    } finally {
      this.#leaveBroker();
    }
  }
}

const tunnelOf = (connection: Connection) => connection.owner as Tunnel;

const FROM_CLIENT: ConnectionHandler = {
  data: (connection, chunk) => tunnelOf(connection).fromClient(chunk),
  drain: (connection) => tunnelOf(connection).drained("client"),
  end: (connection) => tunnelOf(connection).peerEnded("client"),
  close: (connection, error) => tunnelOf(connection).closed("client", error),
};

const FROM_BROKER: ConnectionHandler = {
  data: (connection, chunk) => tunnelOf(connection).fromBroker(chunk),
  drain: (connection) => tunnelOf(connection).drained("broker"),
  end: (connection) => tunnelOf(connection).peerEnded("broker"),
  close: (connection, error) => tunnelOf(connection).closed("broker", error),
};
