import type { HealthState } from "./broker_state.ts";

export interface HealthSettings {
  /** Between the end of a probe and the next one, in milliseconds. */
  readonly intervalMs: number;
  /** The same while the last probes speak against the verdict. */
  readonly fastIntervalMs: number;
  /** A probe that takes longer has failed. */
  readonly timeoutMs: number;
  /** Probes in a row that must succeed before a broker is up again. */
  readonly rise: number;
  /** Probes in a row that must fail before a broker is down. */
  readonly fall: number;
  /** By what part of an interval it may be shorter or longer, 0 to 1: so that many proxies do not probe in step. */
  readonly jitter: number;
}

/** Worst case from death to verdict: 10 s and three timeouts of 3 s with a second in between. */
export const HEALTH_DEFAULTS: HealthSettings = { intervalMs: 10_000, fastIntervalMs: 1_000, timeoutMs: 3_000, rise: 2, fall: 3, jitter: 0.1 };

export type ProbeResult =
  /** `code`: of the CONNACK, where the probe asked for one. */
  | { readonly ok: true; readonly code: number | undefined; readonly milliseconds: number }
  | { readonly ok: false; readonly why: string; readonly milliseconds: number };

export type HealthInput =
  /** Time has passed; wanted at `dueAt`, harmless before. */
  | { readonly type: "tick" }
  | { readonly type: "answered"; readonly probe: number; readonly result: ProbeResult }
  /** A client met a failure: reason to look soon, and closely. */
  | { readonly type: "client_failed" };

export type HealthOutput =
  | { readonly do: "probe"; readonly probe: number }
  /** It took too long: its connection is to be dropped, and its answer is not wanted any more. */
  | { readonly do: "give_up"; readonly probe: number }
  /** Up can come again without down before it: what clients met since is disproved. */
  | { readonly do: "mark"; readonly health: HealthState; readonly cause: string };

const NOTHING: readonly HealthOutput[] = [];

/**
 * When to probe one broker, and what to make of the answers. One probe at a time, so a hung broker is never flooded. It begins with the
 * broker up, but before anything is known a single failure is enough.
 */
export class HealthCheck {
  readonly #settings: HealthSettings;
  readonly #random: () => number;
  #verdict: HealthState = "up";
  #isKnown = false;
  /** Results in a row that speak against the verdict. */
  #streak = 0;
  /** Probes in a row that must yet be answered until a client's failure is outweighed; 0: there was none. */
  #doubt = 0;
  #probes = 0;
  #isProbing = false;
  #dueAt: number;

  constructor(settings: HealthSettings, random: () => number, now: number) {
    this.#settings = settings;
    this.#random = random;
    this.#dueAt = now + random() * settings.fastIntervalMs;
  }

  /** When it wants its next tick, in monotonic milliseconds: for the next probe, or the end of the running one. */
  get dueAt(): number {
    return this.#dueAt;
  }

  step(input: HealthInput, now: number): readonly HealthOutput[] {
    switch (input.type) {
      case "tick": return now < this.#dueAt ? NOTHING : this.#isProbing ? this.#giveUp(now) : this.#probe(now);
      case "answered": return this.#isProbing && input.probe === this.#probes ? this.#judge(input.result, now) : NOTHING;
      case "client_failed": return this.#hurry(now);
    }
  }

  #probe(now: number): readonly HealthOutput[] {
    this.#isProbing = true;
    this.#dueAt = now + this.#settings.timeoutMs;
    return [{ do: "probe", probe: ++this.#probes }];
  }

  #giveUp(now: number): readonly HealthOutput[] {
    const { timeoutMs } = this.#settings;
    const marks = this.#judge({ ok: false, why: `no answer within ${timeoutMs} ms`, milliseconds: timeoutMs }, now);
    return [{ do: "give_up", probe: this.#probes }, ...marks];
  }

  #hurry(now: number): readonly HealthOutput[] {
    if (this.#verdict !== "up") return NOTHING;
    this.#doubt = this.#settings.rise;
    if (!this.#isProbing) this.#dueAt = Math.min(this.#dueAt, now + this.#jittered(this.#settings.fastIntervalMs));
    return NOTHING;
  }

  #judge(result: ProbeResult, now: number): readonly HealthOutput[] {
    this.#isProbing = false;
    const marks = this.#count(result);
    this.#isKnown = true;
    const { intervalMs, fastIntervalMs } = this.#settings;
    this.#dueAt = now + this.#jittered(this.#streak + this.#doubt > 0 ? fastIntervalMs : intervalMs);
    return marks;
  }

  #count(result: ProbeResult): readonly HealthOutput[] {
    if (result.ok !== (this.#verdict === "up")) {
      this.#streak++;
      return result.ok ? this.#better() : this.#worse(result.why);
    }
    // It speaks for the verdict: what spoke against it was nothing.
    this.#streak = 0;
    return result.ok ? this.#reassure(result.code !== undefined) : this.#mark("down", `a probe failed again: ${result.why}`);
  }

  /** Only a CONNACK outweighs what clients met: a broker that hangs takes TCP connections all the same. */
  #reassure(isConnack: boolean): readonly HealthOutput[] {
    if (this.#doubt === 0 || --this.#doubt > 0 || !isConnack) return NOTHING;
    return [{ do: "mark", health: "up", cause: this.#risen }];
  }

  #better(): readonly HealthOutput[] {
    const { rise } = this.#settings;
    if (this.#streak < rise) return this.#mark("checking", `${this.#streak} of ${rise} probes answered`);
    return this.#mark("up", this.#risen);
  }

  get #risen(): string {
    const { rise } = this.#settings;
    return rise === 1 ? "a probe was answered" : `${rise} probes in a row were answered`;
  }

  #worse(why: string): readonly HealthOutput[] {
    if (this.#doubt > 0) this.#doubt = this.#settings.rise;
    const fall = this.#isKnown ? this.#settings.fall : 1;
    if (this.#verdict === "up" && this.#streak < fall) return NOTHING;
    return this.#mark("down", this.#streak === 1 ? `a probe failed: ${why}` : `${this.#streak} probes in a row failed: ${why}`);
  }

  #mark(health: HealthState, cause: string): readonly HealthOutput[] {
    if (health === this.#verdict) return NOTHING;
    if (health !== "checking") {
      this.#streak = 0;
      this.#doubt = 0;
    }
    this.#verdict = health;
    return [{ do: "mark", health, cause }];
  }

  #jittered(milliseconds: number): number {
    return milliseconds * (1 + this.#settings.jitter * (2 * this.#random() - 1));
  }
}
