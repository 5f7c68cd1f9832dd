import type { Timed, TimerWheel } from "../../lib/timer_wheel.ts";
import type { Connection } from "../../runtime/types.ts";

/** How long a peer that is sent away may take to read why and to hang up, in milliseconds. */
const FAREWELL_MS = 500;

/** The end of a connection whose peer was told why: it is reset if it does not close in time, for its owner shall soon hear of it. */
export class Farewell implements Timed {
  timerSlot: Timed["timerSlot"] = undefined;
  timerNext: Timed | undefined = undefined;
  timerPrevious: Timed | undefined = undefined;
  timerTick = 0;
  readonly #wheel: TimerWheel;
  readonly #connection: Connection;

  constructor(wheel: TimerWheel, connection: Connection) {
    this.#wheel = wheel;
    this.#connection = connection;
    wheel.set(this, FAREWELL_MS);
  }

  expired(): void {
    this.#connection.reset();
  }

  /** The connection is closed. */
  over(): void {
    this.#wheel.clear(this);
  }
}
