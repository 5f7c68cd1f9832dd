import type { TimerWheel } from "../lib/timer_wheel.ts";
import { askingConnect } from "../mqtt/asking_connect.ts";
import type { Connack } from "../mqtt/connack.ts";
import { type Connect, readConnect } from "../mqtt/connect.ts";
import { isRedirect, referenceIn } from "../mqtt/disconnect.ts";
import { disconnectPacket } from "../mqtt/fault.ts";
import { LruMap } from "../lib/lru_map.ts";
import type { Broker } from "../pool/broker.ts";
import { brokersNamed } from "../pool/server_reference.ts";
import type { Dial, DialHandler } from "../runtime/types.ts";
import { connectAtBroker } from "../session/handshake.ts";
import type { Session } from "../session/session.ts";
import type { Chooser } from "./chooser.ts";
import { RedirectQuestion } from "./redirect_question.ts";
import { idAtBrokers } from "./session_keys.ts";

/** How often one client is sent on before it is told what the last broker says. */
const HOPS_MAX = 3;
/** CONNACK of 3.x: server unavailable (3.1.1 section 3.2.2.3), which is all that a broker can say of another server there. */
const SERVER_UNAVAILABLE = 3;
/** A broker that named nobody is not asked again for so long: it refuses for reasons of its own. */
const SILENCE_MS = 10_000;
const QUESTIONS_MAX = 32;
/** How long it is known where a client shall go that was sent away in the middle of its session; it comes back within seconds. */
const MEMORY_MS = 60_000;
const MEMORY_MAX = 10_000;
/** An identifier may have 65,535 bytes; whoever has such a one is balanced anew. */
const ID_LENGTH_MAX = 256;

export interface RedirectsOptions {
  readonly wheel: TimerWheel;
  readonly chooser: Chooser;
  readonly dial: (broker: Broker, session: Session, handler: DialHandler) => Dial;
}

interface Direction {
  readonly broker: Broker;
  readonly until: number;
}

/** Server redirection (MQTT 5 section 4.11) on the clients' behalf: within the pool only, for most clients know no other address than ours. */
export class Redirects {
  readonly #options: RedirectsOptions;
  /** Who has sent a client on already. Only of clients that are on their way. */
  readonly #asked = new WeakMap<Session, Set<Broker>>();
  /** Of clients that shall come back to another broker, by their id there. */
  readonly #directions = new LruMap<string, Direction>(MEMORY_MAX);
  readonly #silentUntil = new WeakMap<Broker, number>();
  /** Sessions that wait until their broker was asked. */
  readonly #questions = new Map<Session, RedirectQuestion>();

  constructor(options: RedirectsOptions) {
    this.#options = options;
    options.chooser.follow((session) => this.directionOf(session));
  }

  /** A broker refused the client by this CONNACK. True: somebody else is asked, and the session hears of it; false: it is the last word. */
  refused(session: Session, connack: Connack, frame: Uint8Array): boolean {
    const broker = session.chosen as Broker;
    if (session.pool.config.redirects !== "follow" || session.machine.isCommitted) return false;
    if (session.version !== 5) return connack.code === SERVER_UNAVAILABLE && this.#ask(session, broker, frame);
    if (!isRedirect(connack.code) || connack.serverReference === undefined) return false;
    const target = this.#targetOf(session, broker, connack.serverReference);
    if (target === undefined) return false;
    session.leaveBroker();
    session.sendTo(target);
    return true;
  }

  /** What the client is told instead of a DISCONNECT with which the broker ends its session. */
  disconnected(session: Session, frame: Uint8Array): Uint8Array {
    const reference = referenceIn(frame);
    if (reference === undefined) return frame;
    const [target] = brokersNamed(reference, session.pool.brokers);
    if (target === undefined || target === session.chosen) return frame;
    const id = idAtBrokers(session);
    if (id !== "" && id.length <= ID_LENGTH_MAX) this.#directions.set(this.#keyOf(session, id), { broker: target, until: this.#options.wheel.now + MEMORY_MS });
    return disconnectPacket(5, "redirected") as Uint8Array;
  }

  /** Where the client was sent when its last session was ended. */
  directionOf(session: Session): Broker | undefined {
    const id = idAtBrokers(session);
    const direction = id === "" ? undefined : this.#directions.get(this.#keyOf(session, id));
    return direction !== undefined && this.#options.wheel.now < direction.until ? direction.broker : undefined;
  }

  /** Whoever left wants to know no more. */
  finished(session: Session): void {
    const question = this.#questions.get(session);
    this.#questions.delete(session);
    question?.giveUp();
  }

  #keyOf({ pool }: Session, id: string): string {
    return `${pool.name}/${id}`;
  }

  /** The first broker that is named, has not been asked, and takes the client. */
  #targetOf(session: Session, from: Broker, reference: string): Broker | undefined {
    const { chooser, wheel } = this.#options;
    const asked = this.#asked.get(session) ?? new Set();
    asked.add(from);
    this.#asked.set(session, asked);
    if (asked.size > HOPS_MAX) return undefined;
    for (const broker of brokersNamed(reference, session.pool.brokers)) {
      if (!asked.has(broker) && chooser.accepts(session, broker, wheel.now)) return broker;
    }
    return undefined;
  }

  #ask(session: Session, broker: Broker, frame: Uint8Array): boolean {
    const { wheel, dial } = this.#options;
    if (this.#questions.size >= QUESTIONS_MAX || wheel.now < (this.#silentUntil.get(broker) ?? 0)) return false;
    const connect = readConnect(connectAtBroker(session, broker)) as Connect;
    session.leaveBroker();
    const question = new RedirectQuestion({
      connect: askingConnect(connect),
      wheel,
      dial: (handler) => dial(broker, session, handler),
      answered: (connack) => this.#answered(session, broker, connack, frame),
    });
    this.#questions.set(session, question);
    question.start();
    return true;
  }

  #answered(session: Session, broker: Broker, connack: Connack | undefined, refusal: Uint8Array): void {
    if (!this.#questions.delete(session)) return; // the client left: that says nothing of the broker
    const reference = connack !== undefined && isRedirect(connack.code) ? connack.serverReference : undefined;
    if (reference === undefined) this.#silentUntil.set(broker, this.#options.wheel.now + SILENCE_MS);
    const target = reference === undefined ? undefined : this.#targetOf(session, broker, reference);
    if (target === undefined) session.passRefusal(refusal, SERVER_UNAVAILABLE);
    else session.sendTo(target);
  }
}
