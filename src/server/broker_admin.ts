import { suggest } from "../lib/suggest.ts";
import { EVENTS } from "../observe/events.ts";
import type { Log } from "../observe/log.ts";
import type { AdminState } from "../pool/broker_state.ts";
import type { Broker } from "../pool/broker.ts";
import type { Pool } from "../pool/pool.ts";
import type { System } from "../runtime/types.ts";
import type { BrokerChange, BrokerInfo } from "./types.ts";

const STATES: readonly AdminState[] = ["ready", "drain", "maint"];
const MEANINGS: Readonly<Record<AdminState, string>> = {
  ready: "it gets clients",
  drain: "it gets no new clients but those whose session it holds",
  maint: "it gets no clients, and those that it has are closed",
};

/** One broker as it is now. `startedAt`: monotonic milliseconds. */
export function describeBroker(broker: Broker, startedAt: number, system: Pick<System, "now" | "wallClock">): BrokerInfo {
  const { state, pool, name, sessions, weightSet: weight } = broker;
  const change = state.changes.at(-1);
  const at = change === undefined || change.at === -Infinity ? startedAt : change.at;
  return {
    pool: pool.name,
    broker: name,
    state: state.admin,
    health: state.health,
    since: new Date(Math.round(system.wallClock() - (system.now() - at))),
    cause: change?.cause,
    sessions,
    weight,
  };
}

/** Throws a RangeError that names what there is. */
export function findBroker(pools: ReadonlyMap<string, Pool>, poolName: string, brokerName: string): Broker {
  const pool = pools.get(poolName);
  if (pool === undefined) throw new RangeError(unknown("pool", poolName, [...pools.keys()]));
  const broker = pool.brokers.find(({ name }) => name === brokerName);
  if (broker === undefined) throw new RangeError(unknown(`broker of pool ${JSON.stringify(poolName)}`, brokerName, pool.brokers.map(({ name }) => name)));
  return broker;
}

function unknown(what: string, given: string, known: readonly string[]): string {
  const near = suggest(given, known);
  return `cannot find ${JSON.stringify(given)} as a ${what}: expected one of ${known.join(", ")}${near === undefined ? "" : `; did you mean ${near}?`}`;
}

/** All of it, or a RangeError and nothing. Answers whether the admin state is another one now. */
export function changeBroker(broker: Broker, { state, weight }: BrokerChange, now: number, log: Log): boolean {
  if (state !== undefined && !STATES.includes(state)) {
    throw new RangeError(`cannot set the state of ${broker.name} to ${JSON.stringify(state)}: expected one of ${STATES.join(", ")}`);
  }
  if (weight !== undefined && weight !== broker.weightSet) {
    broker.setWeight(weight, now);
    log.info(EVENTS.brokerState, `the weight of ${broker.name} is ${weight}`, { pool: broker.pool.name, broker: broker.name, weight });
  }
  const isChange = state !== undefined && broker.setAdmin(state, now, "the operator said so");
  if (isChange) log.info(EVENTS.brokerState, `${broker.name} is in ${state}: ${MEANINGS[state]}`, { pool: broker.pool.name, broker: broker.name, state });
  return isChange;
}
