import type { Limits } from "../config/types.ts";
import type { Timed, TimerWheel } from "../lib/timer_wheel.ts";
import { type Fault, fault } from "../mqtt/fault.ts";
import type { Broker } from "../pool/broker.ts";
import type { Pool } from "../pool/pool.ts";
import type { Connection, ConnectionHandler, Dial, DialHandler, NetworkError } from "../runtime/types.ts";
import { PROBE_AFTER_MS } from "./idle.ts";
import type { Origin } from "./origin.ts";
import { FORGOTTEN } from "./sides.ts";

/** What a tunnel needs of the world around it. */
export interface TunnelContext {
  readonly limits: Limits;
  readonly wheel: TimerWheel;
  now(): number;
  readonly listenerName: string;
  dial(broker: Broker, tunnel: Tunnel, handler: DialHandler): Dial;
  brokerFailed(broker: Broker, fault: Fault): void;
  brokerAnswered(broker: Broker): void;
  opened(tunnel: Tunnel): void;
  /** Both connections are gone. Called once. */
  finished(tunnel: Tunnel): void;
}

type State = "dialing" | "relaying" | "half_closed" | "closing" | "closed";

/**
 * A client whose TLS is passed through: the broker does it, so nothing is known but what the ClientHello says, and bytes only move. There is
 * no MQTT to refuse it in: whatever goes wrong ends in a close.
 */
export class Tunnel implements Timed, DialHandler {
  readonly context: TunnelContext;
  readonly client: Connection;
  readonly origin: Origin;
  readonly pool: Pool;
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

  #state: State = "dialing";
  #order: readonly Broker[];
  #attempt = -1;
  #answerBy: number;
  #dial: Dial | undefined = undefined;
  #hello: Uint8Array | undefined;
  /** What waited for the slow side when it was last looked at, in bytes. */
  #waiting = 0;

  /** `hello`: all that was read of the client. `order`: the brokers to try, best first. */
  constructor(context: TunnelContext, client: Connection, begin: { origin: Origin; hello: Uint8Array; pool: Pool; order: readonly Broker[] }) {
    this.context = context;
    this.client = client;
    this.origin = begin.origin;
    this.pool = begin.pool;
    this.#order = begin.order;
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
    if (broker === undefined) return this.end(this.cause ?? fault("no_broker", "no broker is left to try"));
    const { wheel, limits } = this.context;
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
    this.cause = why;
    this.context.brokerFailed(this.chosen as Broker, why);
    this.#leaveBroker();
    if (this.context.wheel.now >= this.#answerBy) this.end(why);
    else this.#dialNext();
  }

  opened(connection: Connection): void {
    this.#dial = undefined;
    this.cause = undefined;
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
    if (!(this.broker as Connection).write(chunk)) this.#stalled(this.client);
  }

  fromBroker(chunk: Uint8Array): void {
    this.bytesDownstream += chunk.length;
    if (!this.client.write(chunk)) this.#stalled(this.broker as Connection);
  }

  #stalled(source: Connection): void {
    source.pause();
    this.#waiting = this.#bytesWaiting;
    if (this.#state === "relaying") this.context.wheel.set(this, this.context.limits.stallTimeoutMs);
  }

  get #bytesWaiting(): number {
    return this.client.bufferedBytes + (this.broker?.bufferedBytes ?? 0);
  }

  drained(source: Connection | undefined): void {
    source?.resume();
  }

  /** A FIN goes on to the other side; the opposite direction has a bounded time left. */
  peerEnded(other: Connection | undefined): void {
    if (this.#state === "dialing") return this.end(undefined);
    other?.end();
    this.#state = this.#state === "relaying" ? "half_closed" : "closing";
    this.context.wheel.set(this, this.context.limits.stallTimeoutMs);
  }

  closed(side: "client" | "broker", error: NetworkError | undefined): void {
    if (this.#state === "closed") return;
    const other = side === "client" ? this.broker : this.client;
    if (error !== undefined) this.cause ??= fault(side === "client" ? "client_lost" : "broker_lost", error.message);
    if (side === "client") this.client.handler = FORGOTTEN;
    if (other === undefined || other.handler === FORGOTTEN) return this.#finish();
    if (side === "broker") (this.broker as Connection).handler = FORGOTTEN;
    if (error !== undefined) other.reset();
    else other.end();
    this.#state = "closing";
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
    const waiting = this.#bytesWaiting;
    if (this.#state === "relaying" && waiting === 0) return;
    if (this.#state === "relaying" && waiting < this.#waiting) {
      this.#waiting = waiting;
      this.context.wheel.set(this, this.context.limits.stallTimeoutMs);
      return;
    }
    this.end(fault(this.client.bufferedBytes > 0 ? "client_stalled" : "broker_stalled", "a side took nothing, or did not close, within the limit"));
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
  drain: (connection) => tunnelOf(connection).drained(tunnelOf(connection).broker),
  end: (connection) => tunnelOf(connection).peerEnded(tunnelOf(connection).broker),
  close: (connection, error) => tunnelOf(connection).closed("client", error),
};

const FROM_BROKER: ConnectionHandler = {
  data: (connection, chunk) => tunnelOf(connection).fromBroker(chunk),
  drain: (connection) => tunnelOf(connection).drained(tunnelOf(connection).client),
  end: (connection) => tunnelOf(connection).peerEnded(tunnelOf(connection).client),
  close: (connection, error) => tunnelOf(connection).closed("broker", error),
};
