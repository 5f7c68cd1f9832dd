/** What the operator wants of a broker: `drain` gets no new clients, `maint` none at all. */
export type AdminState = "ready" | "drain" | "maint";
/** What is known of its health: `checking` was down, and one client or the probes are finding out whether it still is. */
export type HealthState = "up" | "checking" | "down";

export interface StateChange {
  /** Monotonic milliseconds. */
  readonly at: number;
  readonly from: AdminState | HealthState;
  readonly to: AdminState | HealthState;
  /** In plain words; what a broker said is never in them. */
  readonly cause: string;
}

/** As many as tell the story of one outage with some flapping; older ones are in the log. */
export const CHANGES_MAX = 16;

/** Both states of one broker, with the moment and the cause of each change. */
export class BrokerState {
  #admin: AdminState = "ready";
  #health: HealthState = "up";
  #goodSince = -Infinity;
  #changes: StateChange[] = [];

  get admin(): AdminState {
    return this.#admin;
  }

  get health(): HealthState {
    return this.#health;
  }

  /** Ready and up: clients may be sent to it without a second thought. */
  get isGood(): boolean {
    return this.#admin === "ready" && this.#health === "up";
  }

  /** Since when it is good without a break, in monotonic milliseconds; -Infinity: always was. */
  get goodSince(): number {
    return this.#goodSince;
  }

  /** The newest last, at most CHANGES_MAX. */
  get changes(): readonly StateChange[] {
    return this.#changes;
  }

  /** Answers true when this is a change. */
  setAdmin(to: AdminState, now: number, cause: string): boolean {
    const from = this.#admin;
    if (from === to) return false;
    const wasGood = this.isGood;
    this.#admin = to;
    this.#note({ at: now, from, to, cause }, wasGood);
    return true;
  }

  /** Answers true when this is a change. */
  setHealth(to: HealthState, now: number, cause: string): boolean {
    const from = this.#health;
    if (from === to) return false;
    const wasGood = this.isGood;
    this.#health = to;
    this.#note({ at: now, from, to, cause }, wasGood);
    return true;
  }

  #note(change: StateChange, wasGood: boolean): void {
    if (!wasGood && this.isGood) this.#goodSince = change.at;
    if (this.#changes.length === CHANGES_MAX) this.#changes.shift();
    this.#changes.push(change);
  }
}
