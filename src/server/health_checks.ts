import { EVENTS } from "../observe/events.ts";
import type { Log } from "../observe/log.ts";
import type { Broker } from "../pool/broker.ts";
import { HEALTH_DEFAULTS, HealthCheck, type HealthOutput, type ProbeResult } from "../pool/health.ts";
import type { Pool } from "../pool/pool.ts";
import { ProbeIdentity } from "../pool/probe_identity.ts";
import type { Dial, DialHandler, System } from "../runtime/types.ts";
import { healthTalk, Probe } from "./probe.ts";

export interface HealthChecksOptions {
  readonly pools: readonly Pool[];
  readonly system: Pick<System, "now" | "random">;
  readonly log: Log;
  readonly dial: (broker: Broker, handler: DialHandler) => Dial;
  /** The probes found it down. */
  readonly wentDown: (broker: Broker) => void;
}

/** How often it is looked whether a probe is due, in milliseconds. */
const LOOK_EVERY_MS = 100;

/** Asks the brokers of pools with `health` whether they are well; loaded only where there are such. */
export class HealthChecks {
  readonly #options: HealthChecksOptions;
  readonly #checks: Check[];
  #timer: ReturnType<typeof setInterval> | undefined = undefined;

  constructor(options: HealthChecksOptions) {
    this.#options = options;
    const now = options.system.now();
    const brokers = options.pools.flatMap(({ config, brokers: all }) => (config.health === undefined ? [] : all));
    const identity = new ProbeIdentity(options.system.random);
    this.#checks = brokers.map((broker) => new Check(options, identity, broker, now));
  }

  start(): void {
    this.#timer = setInterval(() => {
      const now = this.#options.system.now();
      for (const check of this.#checks) check.look(now);
    }, LOOK_EVERY_MS);
    (this.#timer as { unref?: () => void }).unref?.();
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const check of this.#checks) check.stop();
  }

  /** A client met a failure there: reason to look soon. */
  clientFailed(broker: Broker): void {
    const now = this.#options.system.now();
    this.#checks.find((check) => check.broker === broker)?.step({ type: "client_failed" }, now);
  }
}

/** The machine of one broker, and its probe if one is under way. */
class Check {
  readonly broker: Broker;
  readonly #options: HealthChecksOptions;
  readonly #machine: HealthCheck;
  readonly #identity: ProbeIdentity;
  /** The last one; after its answer only its connection may be left, for the broker to close. */
  #probe: Probe | undefined = undefined;

  constructor(options: HealthChecksOptions, identity: ProbeIdentity, broker: Broker, now: number) {
    this.#options = options;
    this.#identity = identity;
    this.broker = broker;
    this.#machine = new HealthCheck({ ...HEALTH_DEFAULTS, ...broker.pool.health }, () => options.system.random(), now);
  }

  look(now: number): void {
    if (now >= this.#machine.dueAt) this.step({ type: "tick" }, now);
  }

  step(input: Parameters<HealthCheck["step"]>[0], now: number): void {
    for (const output of this.#machine.step(input, now)) this.#carryOut(output, now);
  }

  stop(): void {
    this.#probe?.giveUp();
    this.#probe = undefined;
  }

  #carryOut(output: HealthOutput, now: number): void {
    switch (output.do) {
      case "probe": return this.#ask(output.probe);
      case "give_up": return this.stop();
      case "mark": return this.#mark(output.health, output.cause, now);
    }
  }

  #ask(probe: number): void {
    const { dial, system } = this.#options;
    const answered = (result: ProbeResult) => {
      this.step({ type: "answered", probe, result }, system.now());
    };
    this.#probe?.giveUp();
    const talk = healthTalk(this.broker.pool.health!, this.broker, this.#identity.next(), system.now());
    this.#probe = new Probe({ broker: this.broker, talk, dial, now: () => system.now(), answered });
  }

  #mark(health: "up" | "checking" | "down", cause: string, now: number): void {
    const { broker } = this;
    const isNews = broker.probed(health, now, cause);
    // Clients may have found it down before: that moves nobody who is there, the probes' word does.
    if (health === "down") this.#options.wentDown(broker);
    if (!isNews) return;
    const fields = { pool: broker.pool.name, broker: broker.name };
    const { log } = this.#options;
    if (health === "down") log.warn(EVENTS.brokerDown, `${broker.name} is down: ${cause}`, fields);
    else if (health === "up") log.info(EVENTS.brokerUp, `${broker.name} is up: ${cause}`, fields);
  }
}
