import type { Timed, TimerWheel } from "../lib/timer_wheel.ts";
import { TICK_MS } from "../lib/timer_wheel.ts";
import { type Fault, fault } from "../mqtt/fault.ts";
import type { Broker } from "../pool/broker.ts";
import type { Pool } from "../pool/pool.ts";
import { WaitingLine } from "../pool/waiting_line.ts";
import type { Session } from "../session/session.ts";
import type { NoRoom } from "./chooser.ts";

export interface WaitingRoomOptions {
  readonly pools: readonly Pool[];
  readonly wheel: TimerWheel;
}

type Chosen = readonly Broker[] | Fault;

/** One who waits. */
interface Guest {
  readonly choose: () => Chosen | NoRoom;
  /** How it hears of its turn. */
  readonly call: (chosen: Chosen) => void;
}

/**
 * The waiting lines of the pools that have one. Who waits is asked for a broker again when a session of the pool has ended, and with each tick of the
 * wheel: a rate refills without a word. Loaded only where a pool has a line.
 */
export class WaitingRoom implements Timed {
  readonly #options: WaitingRoomOptions;
  readonly #lines = new Map<Pool, WaitingLine<Session>>();
  readonly #guests = new Map<Session, Guest>();
  /** A place is kept from the choice to the dial, so that nobody else takes it in between. */
  readonly #kept = new Map<Session, Broker>();
  timerSlot: Timed["timerSlot"] = undefined;
  timerNext: Timed | undefined = undefined;
  timerPrevious: Timed | undefined = undefined;
  timerTick = 0;

  constructor(options: WaitingRoomOptions) {
    this.#options = options;
    for (const pool of options.pools) {
      const { waiting } = pool.config;
      if (waiting !== undefined) this.#lines.set(pool, new WaitingLine({ waitersMax: waiting.clientsMax, waitMs: waiting.timeoutMs }));
    }
  }

  /** Sessions that wait in the line of a pool. */
  sizeOf(pool: Pool): number {
    return this.#lines.get(pool)?.size ?? 0;
  }

  /** A newcomer: those who wait come first. `choose` sets the session's pool, and answers for this moment. */
  admit(session: Session, choose: () => Chosen | NoRoom): Chosen | Promise<Chosen> {
    this.serve();
    const chosen = choose();
    if (!("only" in chosen)) return this.#keep(session, chosen);
    const line = this.#lines.get(session.pool);
    if (line?.join(session, this.#options.wheel.now, chosen.only) !== true) return chosen;
    if (this.timerSlot === undefined) this.#options.wheel.set(this, TICK_MS);
    return new Promise((call) => this.#guests.set(session, { choose, call }));
  }

  #keep(session: Session, chosen: Chosen): Chosen {
    if ("code" in chosen || !this.#lines.has(session.pool)) return chosen;
    const broker = chosen[0] as Broker;
    if (!broker.take(this.#options.wheel.now)) return chosen;
    broker.sessions++;
    this.#kept.set(session, broker);
    return chosen;
  }

  /** The session is about to dial; true: the place that was kept for it is its own now, to be counted by itself. */
  redeem(session: object, broker: Broker): boolean {
    const kept = this.#kept.get(session as Session);
    if (kept === undefined) return false;
    this.#kept.delete(session as Session);
    kept.sessions--;
    return kept === broker;
  }

  /** A session, which may have waited, is over. */
  finished(session: Session): void {
    const kept = this.#kept.get(session);
    if (kept !== undefined) this.redeem(session, kept);
    if (this.#guests.delete(session)) this.#lines.get(session.pool)?.leave(session);
    // It gives up its place at its broker only after this.
    if (this.#guests.size > 0) queueMicrotask(() => this.serve());
  }

  /** Those for whom there is room now, in the order of their coming. */
  serve(): void {
    for (const line of this.#lines.values()) while (line.size > 0 && this.#serveNext(line)) {}
  }

  #serveNext(line: WaitingLine<Session>): boolean {
    const { wheel } = this.#options;
    let isRoomForAny = true;
    const served = line.next((session, only) => {
      if (hasLeft(session)) return this.#call(session, GONE);
      // Its own broker may have gone down meanwhile: then any other one will do.
      const mayTry = only === undefined || only.isDown(wheel.now) ? isRoomForAny : only.canTake(wheel.now);
      if (!mayTry) return false;
      const chosen = (this.#guests.get(session) as Guest).choose();
      if (!("only" in chosen)) return this.#call(session, this.#keep(session, chosen));
      if (chosen.only === undefined) isRoomForAny = false;
      return false;
    });
    return served !== undefined;
  }

  #call(session: Session, chosen: Chosen): true {
    this.#guests.get(session)?.call(chosen);
    this.#guests.delete(session);
    return true;
  }

  expired(): void {
    const { wheel } = this.#options;
    this.serve();
    for (const line of this.#lines.values()) {
      for (const session of line.expire(wheel.now)) this.#call(session, this.#keep(session, (this.#guests.get(session) as Guest).choose()));
    }
    if (this.#guests.size > 0) wheel.set(this, TICK_MS);
  }
}

const GONE = fault("client_lost", "the client left while it waited for a broker");

/** A FIN behind nothing but CONNECT: whoever has said more has said it to be passed on, and may still wait for that. */
function hasLeft({ machine, upstream }: Session): boolean {
  if (machine.state !== "deciding") return true;
  const said = (upstream?.packets ?? 1) - (upstream?.finished ? 1 : 0);
  return machine.hasClientEnded && said === 1;
}
