import { TICK_MS, type TimerWheel } from "../lib/timer_wheel.ts";

/** Turns the wheel while somebody is there: a proxy without clients does not wake up. */
export class Ticker {
  readonly #wheel: TimerWheel;
  readonly #now: () => number;
  readonly #isNeeded: () => boolean;
  #interval: ReturnType<typeof setInterval> | undefined = undefined;

  constructor(wheel: TimerWheel, now: () => number, isNeeded: () => boolean) {
    this.#wheel = wheel;
    this.#now = now;
    this.#isNeeded = isNeeded;
  }

  start(): void {
    if (this.#interval !== undefined) return;
    this.#wheel.advance(this.#now());
    this.#interval = setInterval(() => {
      this.#wheel.advance(this.#now());
      if (!this.#isNeeded()) this.stop();
    }, TICK_MS);
  }

  stop(): void {
    clearInterval(this.#interval);
    this.#interval = undefined;
  }
}
