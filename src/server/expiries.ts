import type { Timed, TimerWheel } from "../lib/timer_wheel.ts";
import { fault } from "../mqtt/fault.ts";
import type { System } from "../runtime/types.ts";
import type { Session } from "../session/session.ts";

/** Sessions whose right to be here ends at a time that is known. Others cost nothing. */
export class Expiries {
  readonly #wheel: TimerWheel;
  readonly #system: Pick<System, "wallClock">;
  readonly #entries = new Map<Session, Expiry>();

  constructor(wheel: TimerWheel, system: Pick<System, "wallClock">) {
    this.#wheel = wheel;
    this.#system = system;
  }

  /** `expiresAt`: milliseconds since 1970. */
  watch(session: Session, expiresAt: number): void {
    const entry = new Expiry(session);
    this.#entries.set(session, entry);
    this.#wheel.set(entry, Math.max(0, expiresAt - this.#system.wallClock()));
  }

  forget(session: Session): void {
    const entry = this.#entries.get(session);
    if (entry === undefined) return;
    this.#wheel.clear(entry);
    this.#entries.delete(session);
  }
}

class Expiry implements Timed {
  readonly #session: Session;
  timerSlot: Timed["timerSlot"] = undefined;
  timerNext: Timed | undefined = undefined;
  timerPrevious: Timed | undefined = undefined;
  timerTick = 0;

  constructor(session: Session) {
    this.#session = session;
  }

  expired(): void {
    this.#session.step({ type: "violated", fault: fault("not_authorized", "what let the client in has expired") });
  }
}
