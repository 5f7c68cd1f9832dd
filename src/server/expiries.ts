import type { Timed, TimerWheel } from "../lib/timer_wheel.ts";

/** Sessions, or tunnels, that end at a time that is known. Others cost nothing. */
export class Expiries<Subject extends object> {
  readonly #wheel: TimerWheel;
  readonly #end: (subject: Subject) => void;
  readonly #entries = new Map<Subject, Expiry<Subject>>();

  /** `end`: what happens to one whose time is over. */
  constructor(wheel: TimerWheel, end: (subject: Subject) => void) {
    this.#wheel = wheel;
    this.#end = end;
  }

  watch(subject: Subject, inMs: number): void {
    this.forget(subject);
    const entry = new Expiry(subject, this.#end);
    this.#entries.set(subject, entry);
    this.#wheel.set(entry, Math.max(0, inMs));
  }

  forget(subject: Subject): void {
    const entry = this.#entries.get(subject);
    if (entry === undefined) return;
    this.#wheel.clear(entry);
    this.#entries.delete(subject);
  }
}

class Expiry<Subject> implements Timed {
  readonly #subject: Subject;
  readonly #end: (subject: Subject) => void;
  timerSlot: Timed["timerSlot"] = undefined;
  timerNext: Timed | undefined = undefined;
  timerPrevious: Timed | undefined = undefined;
  timerTick = 0;

  constructor(subject: Subject, end: (subject: Subject) => void) {
    this.#subject = subject;
    this.#end = end;
  }

  expired(): void {
    this.#end(this.#subject);
  }
}
