/** Something with one deadline at a time. The three link fields belong to the wheel. */
export interface Timed {
  timerSlot: TimerList | undefined;
  timerNext: Timed | undefined;
  timerPrevious: Timed | undefined;
  /** The tick at which it is due. */
  timerTick: number;
  /** The deadline passed; the entry is out of the wheel and may be set again. */
  expired(): void;
}

interface TimerList {
  first: Timed | undefined;
}

const SLOTS = 512;
export const TICK_MS = 100;

/**
 * One timer for all sessions: setting and clearing a deadline links and unlinks an entry, with no timer or closure of its own.
 * Deadlines count from the last tick, are kept to two ticks and never early. The owner calls `advance` on every tick.
 */
export class TimerWheel {
  /** Milliseconds at the last tick: a clock that costs nothing to read. */
  now: number;
  /** Entries that wait. */
  size = 0;
  readonly #slots: TimerList[] = Array.from({ length: SLOTS }, () => ({ first: undefined }));
  readonly #due: TimerList = { first: undefined };
  #tick = 0;
  readonly #start: number;

  constructor(now: number) {
    this.now = now;
    this.#start = now;
  }

  set(entry: Timed, milliseconds: number): void {
    this.clear(entry);
    entry.timerTick = this.#tick + Math.max(1, Math.ceil(milliseconds / TICK_MS)) + 1; // + 1: the running tick is partly over
    this.#link(entry, this.#slots[entry.timerTick % SLOTS] as TimerList);
    this.size++;
  }

  #link(entry: Timed, list: TimerList): void {
    entry.timerSlot = list;
    entry.timerNext = list.first;
    if (list.first !== undefined) list.first.timerPrevious = entry;
    list.first = entry;
  }

  clear(entry: Timed): void {
    const slot = entry.timerSlot;
    if (slot === undefined) return;
    if (entry.timerPrevious === undefined) slot.first = entry.timerNext;
    else entry.timerPrevious.timerNext = entry.timerNext;
    if (entry.timerNext !== undefined) entry.timerNext.timerPrevious = entry.timerPrevious;
    entry.timerSlot = undefined;
    entry.timerNext = undefined;
    entry.timerPrevious = undefined;
    this.size--;
  }

  /** Expires everything that is due at `now`. After a long sleep of the machine the missed ticks are made up for. */
  advance(now: number): void {
    this.now = now;
    const target = Math.floor((now - this.#start) / TICK_MS);
    const from = Math.max(this.#tick + 1, target - SLOTS + 1);
    this.#tick = target;
    for (let tick = from; tick <= target; tick++) this.#expire(this.#slots[tick % SLOTS] as TimerList);
  }

  /** What is due moves to a list of its own first: while it expires, any entry may still be cleared or set again. */
  #expire(slot: TimerList): void {
    for (let entry = slot.first; entry !== undefined; ) {
      const next = entry.timerNext;
      if (entry.timerTick <= this.#tick) {
        this.clear(entry);
        this.#link(entry, this.#due);
        this.size++;
      }
      entry = next;
    }
    for (let entry = this.#due.first; entry !== undefined; entry = this.#due.first) {
      this.clear(entry);
      entry.expired();
    }
  }
}
