import { ByteBuffer } from "../lib/byte_buffer.ts";
import type { Listed } from "../lib/roster.ts";
import type { Timed } from "../lib/timer_wheel.ts";
import { type Connack, judgeBrokerFirstByte } from "../mqtt/connack.ts";
import { type Connect, judgeFirstByte } from "../mqtt/connect.ts";
import { refusedBy } from "../mqtt/connack_words.ts";
import { type Fault, fault, type Version } from "../mqtt/fault.ts";
import { FrameCollector } from "../mqtt/frame_collector.ts";
import { FrameFollower } from "../mqtt/frame_follower.ts";
import { BROKER_RULES, CLIENT_RULES } from "../mqtt/rules.ts";
import type { Broker } from "../pool/broker.ts";
import type { Pool } from "../pool/pool.ts";
import type { Reason } from "../pool/reason.ts";
import type { Connection, Dial, DialHandler, NetworkError } from "../runtime/types.ts";
import { type ExpiryWatch, passHeld, relayingClient } from "./client_disconnect.ts";
import type { SessionContext } from "./context.ts";
import { disconnectAtBoundary, disconnectNow, refuse } from "./goodbye.ts";
import type { Origin } from "./origin.ts";
import { AWAITING_CONNACK, awaitDecision, HOLDING, READING_CONNECT, sendConnect } from "./handshake.ts";
import { ACCEPTED, CONNECT_READ, DIALED, type Input, Machine, type Output, type Side } from "./machine.ts";
import { RELAYING_BROKER, WATCHING_BROKER } from "./relay.ts";
import type { Rewritten } from "./rewritten.ts";
import { armIdle, lookAtSilences } from "./silences.ts";
import { DISCARDING_BROKER, DISCARDING_CLIENT, FORGOTTEN } from "./sides.ts";

/** How long an ending session may take to flush and to see the other's FIN, in milliseconds. */
const LINGER_MS = 5_000;
const CONNACK_SIZE_MAX = 65_536;
const NONE: readonly Broker[] = [];
/** For the outputs of steps: as many as there are steps within each other. */
const lists: Output[][] = [];

/**
 * One client's life in sluice: the shell around the machine. It owns the two connections, carries out what the machine puts out
 * and feeds back what happens. The bytes themselves move in handshake.ts and relay.ts.
 */
export class Session implements Timed, Listed, DialHandler {
  readonly context: SessionContext;
  readonly client: Connection;
  /** undefined: plain TCP, and all that is known is the connection's own. */
  readonly origin: Origin | undefined;
  /** The listener's, unless a route says otherwise. */
  pool: Pool;
  /** The rule that chose it; undefined: the listener's own. */
  routeName: string | undefined = undefined;
  /** What put the first broker of its order there. */
  decidedBy: Reason | undefined = undefined;
  /** How long the broker keeps the MQTT session; known when it is open. */
  sessionExpirySeconds = 0;
  connect: (Connect & { rewritten?: Rewritten }) | undefined = undefined; // until the session is open
  readonly machine = new Machine();
  connectNumber = 0; // of its CONNECT, in the order in which they came
  readonly startedAt: number;
  broker: Connection | undefined = undefined;
  /** The broker that is dialed, or that this session lives on. */
  chosen: Broker | undefined = undefined;
  version: Version | undefined = undefined;
  clientId = "";
  /** Only in sessions where rewriting makes it another. */
  declare idAtBrokers?: string;
  /** Only where it matters how long the client's MQTT session is kept in the end. */
  declare expiryWatch?: ExpiryWatch;
  /** Who the client is, once that was checked. */
  username: string | undefined = undefined;
  isOpen = false; // true once CONNACK with success was passed on
  upstream: FrameFollower | undefined = undefined;
  downstream: FrameFollower | undefined = undefined;
  /** Collects CONNECT, then CONNACK; nothing afterwards. */
  collector: FrameCollector | undefined;
  bytesUpstream = 0;
  bytesDownstream = 0;
  /** When the client was last heard, on the wheel's clock. */
  heardAt: number;
  idleMs = 0; // 1.5 times the effective keep-alive; 0: no limit
  /** Since when a side has not taken what waits for it; 0: it keeps up. */
  clientStalledAt = 0;
  brokerStalledAt = 0;
  /** The DISCONNECT that goes out at the next boundary. */
  declare goodbye?: Uint8Array;

  timerSlot: Timed["timerSlot"] = undefined;
  timerNext: Timed | undefined = undefined;
  timerPrevious: Timed | undefined = undefined;
  timerTick = 0;
  rosterPlace = -1;

  #order: readonly Broker[] = NONE;
  #attempt = -1; // the broker's place in the order
  #answerBy = 0;
  #dial: Dial | undefined = undefined;
  /** What the client sent between CONNECT and CONNACK. */
  #held: ByteBuffer | undefined = undefined;
  /** What waited for a stalled side when it was last looked at, in bytes. */
  clientWaiting = 0;
  brokerWaiting = 0;

  constructor(context: SessionContext, client: Connection, origin?: Origin) {
    this.context = context;
    this.client = client;
    this.origin = origin;
    this.pool = context.pool;
    this.startedAt = context.now();
    this.heardAt = context.wheel.now;
    this.collector = new FrameCollector(judgeFirstByte, context.limits.connectSizeMax);
    client.owner = this;
    client.handler = READING_CONNECT;
    this.context.wheel.set(this, context.limits.connectTimeoutMs);
  }

  /** The client's own address, also behind another proxy. */
  get address(): string {
    return this.origin?.address ?? this.client.remoteAddress;
  }

  /** What put it on the broker that it has; undefined: it was turned away before. */
  get reason(): Reason | undefined {
    return this.#attempt > 0 ? "fail_over" : this.decidedBy;
  }

  get port(): number {
    return this.origin?.port ?? this.client.remotePort;
  }

  /** Feeds the machine and carries out its outputs, in order; what they do to the network goes to the outbox. */
  step(input: Input): void {
    const outputs = this.machine.step(input, lists.pop());
    for (let index = 0; index < outputs.length; index++) this.#carryOut(outputs[index] as Output);
    outputs.length = 0;
    lists.push(outputs);
  }

  #carryOut(output: Output): void {
    switch (output.do) {
      case "decide": return this.#decide();
      case "dial": return this.#nextBroker();
      case "cancel_dial": return this.#dial?.cancel();
      case "send_connect": return sendConnect(this);
      case "give_up_broker": return this.#giveUpBroker(output.fault, output.blame);
      case "open": return this.#open();
      case "refuse": return refuse(this, output.fault);
      case "disconnect_now": return disconnectNow(this, output.fault);
      case "disconnect_at_boundary": return disconnectAtBoundary(this, output.fault);
      case "discard": return this.#discard();
      case "end": return this.context.outbox.end(this.#side(output.side));
      case "reset": return this.context.outbox.reset(this.#side(output.side));
      case "deadline": return this.#setDeadline(output.limit);
      case "finished": return this.#finish();
    }
  }

  #side(side: Side): Connection {
    if (side === "client") return this.client;
    if (this.broker === undefined) throw new Error("session: it has no broker");
    return this.broker;
  }

  /** A whole and valid CONNECT was read. */
  connectRead(connect: Connect): void {
    this.connect = connect;
    this.version = connect.version;
    this.clientId = connect.clientId;
    this.collector = undefined;
    this.upstream = new FrameFollower(CLIENT_RULES[connect.version], this.context.limits.packetSizeMax);
    this.upstream.packets = 1;
    this.bytesUpstream = connect.frame.length;
    this.#answerBy = this.context.wheel.now + this.context.limits.answerTimeoutMs;
    this.client.handler = HOLDING;
    this.step(CONNECT_READ[connect.version]);
  }

  #decide(): void {
    const chosen = this.context.choose(this);
    if (!(chosen instanceof Promise)) return this.decided(chosen);
    this.#setDeadline("answer");
    awaitDecision(this, chosen);
  }

  /** The client may be gone by now, or have waited too long. */
  decided(chosen: readonly Broker[] | Fault): void {
    if (this.machine.state !== "deciding") return;
    if ("code" in chosen) return this.step({ type: "turned_away", fault: chosen, version: this.version });
    this.#order = chosen;
    this.#attempt = -1;
    this.step({ type: "decided", brokers: chosen.length });
  }

  #nextBroker(): void {
    const broker = this.#order[++this.#attempt] as Broker;
    const notNow = this.context.claim?.(broker, this);
    if (notNow !== undefined) return this.attemptFailed(notNow);
    this.chosen = broker;
    broker.sessions++;
    this.context.outbox.dial(this);
  }

  /** The turn is over, and meanwhile the client may have left, or another broker be dialed already. */
  dial(): void {
    if (this.machine.state !== "dialing" || this.#dial !== undefined) return;
    this.#dial = this.context.dial(this.chosen as Broker, this, this);
  }

  failed(error: NetworkError): void {
    this.attemptFailed(fault("broker_unreachable", error.message));
  }

  opened(connection: Connection): void {
    this.#dial = undefined;
    this.broker = connection;
    connection.owner = this;
    connection.handler = AWAITING_CONNACK;
    this.collector = new FrameCollector(judgeBrokerFirstByte(this.version as Version), CONNACK_SIZE_MAX);
    this.step(DIALED);
  }

  /** This broker will not do; the next one may. */
  attemptFailed(why: Fault): void {
    this.step({ type: "attempt_failed", fault: why });
  }

  #giveUpBroker(why: Fault, blame: "sure" | "suspected" | "none"): void {
    if (this.chosen !== undefined && blame !== "none") this.context.brokerFailed(this.chosen, why, blame === "suspected" ? this : undefined);
    this.#dial = undefined;
    if (this.broker !== undefined) {
      this.broker.handler = FORGOTTEN;
      this.broker.reset(); // now: the next dial must not find its descriptor taken
      this.broker = undefined;
    }
    if (this.brokerStalledAt !== 0) this.drained("broker"); // that was the broker that is left
    this.#leaveBroker();
  }

  #leaveBroker(): void {
    if (this.chosen !== undefined) this.chosen.sessions--;
    this.chosen = undefined;
  }

  /** Keeps what a client sends between CONNECT and CONNACK. */
  hold(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.bytesUpstream += bytes.length;
    (this.#held ??= new ByteBuffer()).append(bytes);
    if (this.#holdsTooMuch) this.client.pause();
  }

  get #holdsTooMuch(): boolean {
    return this.#held !== undefined && this.#held.length > this.context.limits.bufferSizeMax;
  }

  /** The broker takes the client's bytes from now on. */
  releaseHeld(): void {
    if (this.client.handler !== HOLDING) return; // AUTH came first, and all went on already
    this.client.handler = relayingClient(this);
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    passHeld(this, held.view());
    if (this.brokerStalledAt === 0) this.client.resume();
  }

  /** The broker's side of the relay begins: CONNACK with success was passed on. */
  startRelay(connack: Connack): void {
    const connect = this.connect as Connect;
    this.clientId ||= connack.assignedClientId ?? "";
    this.sessionExpirySeconds = connack.sessionExpirySeconds ?? connect.sessionExpirySeconds;
    this.idleMs = (connack.serverKeepAliveSeconds ?? connect.keepAliveSeconds) * 1500; // one and a half times: [MQTT-3.1.2-22]
    this.downstream = new FrameFollower(BROKER_RULES[connect.version], this.context.limits.packetSizeMax);
    this.downstream.packets = 1;
    this.collector = undefined;
    (this.broker as Connection).handler = connect.version === 5 && this.pool.config.redirects === "follow" ? WATCHING_BROKER : RELAYING_BROKER;
    this.context.brokerAnswered(this.chosen as Broker);
    this.isOpen = true;
    this.step(ACCEPTED);
  }

  #open(): void {
    this.context.opened(this);
    this.#order = NONE;
    this.heardAt = this.context.wheel.now;
    this.releaseHeld();
    this.connect = undefined;
  }

  /** Its CONNACK is not passed on: the broker names another one, or is asked whether it does. `sendTo` or `passRefusal` follows. */
  leaveBroker(): void {
    this.context.brokerAnswered(this.chosen as Broker);
    this.step({ type: "redirecting" });
  }

  /** Goes to this broker, and to those that were not tried yet when it fails. */
  sendTo(target: Broker): void {
    const rest = this.#order.slice(this.#attempt + 1).filter((broker) => broker !== target);
    this.decidedBy = "redirect";
    this.decided([target, ...rest]);
  }

  /** Nobody else takes the client: the CONNACK of the broker that was left is the last word. */
  passRefusal(connack: Uint8Array, code: number): void {
    if (this.machine.state !== "deciding") return;
    this.passDownstream(connack);
    this.step({ type: "rejected", fault: refusedBy(code, this.version) });
  }

  /** CONNACK with a refusal was passed on: its code is the broker's last word. */
  brokerRefused(code: number): void {
    this.context.brokerAnswered(this.chosen as Broker);
    this.step({ type: "rejected", fault: refusedBy(code, this.version) });
  }

  /** A broker's packet, or the rest of one, outside of the hot path. */
  passDownstream(bytes: Uint8Array): void {
    this.bytesDownstream += bytes.length;
    this.write("client", bytes);
  }

  /** Writes to one side; when it does not keep up, the other is no longer read until it does. */
  write(side: Side, bytes: Uint8Array): void {
    this.context.outbox.write(this.#side(side), bytes);
  }

  /** One of its connections has not taken all. What is read only for the FIN behind it goes on being read. */
  stalled(connection: Connection): void {
    if (connection === this.client) {
      this.clientStalledAt ||= this.context.wheel.now;
      this.clientWaiting = connection.bufferedBytes;
      if (this.broker?.handler !== DISCARDING_BROKER) this.broker?.pause();
    } else {
      this.brokerStalledAt ||= this.context.wheel.now;
      this.brokerWaiting = connection.bufferedBytes;
      if (this.client.handler !== DISCARDING_CLIENT) this.client.pause();
    }
    if (this.machine.state === "relaying") armIdle(this);
  }

  drained(side: Side): void {
    if (side === "client") {
      this.clientStalledAt = 0;
      this.broker?.resume();
    } else {
      this.brokerStalledAt = 0;
      this.heardAt = this.context.wheel.now; // what it said meanwhile was not read
      if (!this.#holdsTooMuch) this.client.resume();
    }
  }

  closed(side: Side, error: NetworkError | undefined): void {
    if (error === undefined) return this.step({ type: "closed", side, fault: undefined });
    const why = fault(error.code === "internal" ? "internal_error" : side === "client" ? "client_lost" : "broker_lost", error.message);
    const saidConnectAlone = this.upstream?.packets === 1;
    this.step(side === "client" && error.code === "reset" && saidConnectAlone ? { type: "reset", fault: why } : { type: "closed", side, fault: why });
  }

  /** From now on what arrives is read, so that the FIN is seen, and dropped. */
  #discard(): void {
    this.collector = undefined;
    this.#held = undefined;
    this.client.handler = DISCARDING_CLIENT;
    this.client.resume();
    if (this.broker === undefined) return;
    this.broker.handler = DISCARDING_BROKER;
    this.broker.resume();
  }

  #setDeadline(limit: Extract<Output, { do: "deadline" }>["limit"]): void {
    const { dialTimeoutMs, stallTimeoutMs } = this.context.limits;
    if (limit === "idle") return this.machine.state === "relaying" ? armIdle(this) : undefined; // what it sent before may have ended it
    if (limit === "linger" || limit === "half_closed") return this.context.wheel.set(this, Math.min(limit === "linger" ? LINGER_MS : Infinity, stallTimeoutMs));
    if (limit === "dial" && this.machine.state !== "dialing") return; // its broker had no room after all
    // One deadline for all attempts: a silent broker may use half of what is left while another one is untried.
    const left = Math.max(0, this.#answerBy - this.context.wheel.now);
    const share = this.#attempt + 1 < this.#order.length ? left / 2 : left;
    this.context.wheel.set(this, limit === "dial" ? Math.min(share, dialTimeoutMs) : share);
  }

  expired(): void {
    try {
      if (this.machine.state === "relaying") lookAtSilences(this);
      else this.step({ type: "deadline" });
    } catch (thrown) {
      this.abort(thrown);
    }
  }

  /** A mistake of ours was met: it costs this session, and no other. */
  abort(thrown: unknown): void {
    this.client.reset();
    this.broker?.reset();
    this.context.internalError(thrown);
  }

  #finish(): void {
    this.context.wheel.clear(this);
    this.client.handler = FORGOTTEN;
    if (this.broker !== undefined) this.broker.handler = FORGOTTEN;
    try {
      this.context.finished(this);
    } finally {
      this.#leaveBroker();
    }
  }
}
