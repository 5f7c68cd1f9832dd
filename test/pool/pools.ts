import type { BrokerConfig, PoolConfig } from "../../src/config/types.ts";
import type { BALANCES } from "../../src/pool/balance/index.ts";
import type { Broker } from "../../src/pool/broker.ts";
import { Pool } from "../../src/pool/pool.ts";
import type { BrokerSettings, PoolSettings } from "../../src/pool/settings.ts";

export type Algorithm = keyof typeof BALANCES;

/** A broker of a test's pool: its weight, or more of it. */
export type Given = number | ({ readonly weight?: number } & Pick<BrokerConfig, "connectRate"> & BrokerSettings);

const brokerConfig = (name: string, given: Given): BrokerConfig & BrokerSettings => ({
  name, scheme: "mqtt", host: name, port: 1883, username: undefined, password: undefined, passwordFile: undefined,
  weight: 1, ...(typeof given === "number" ? { weight: given } : given),
});

/** A pool of these brokers, by name. */
export function createPool(balance: Algorithm, brokers: Readonly<Record<string, Given>>, settings: PoolSettings & Pick<PoolConfig, "evictWithinMs"> = {}): Pool {
  return new Pool({
    name: "p",
    balance: balance as PoolConfig["balance"],
    brokers: Object.entries(brokers).map(([name, given]) => brokerConfig(name, given)),
    tls: { caFile: undefined, insecure: false },
    ...settings,
  });
}

export function brokersOf(pool: Pool): Readonly<Record<string, Broker>> {
  return Object.fromEntries(pool.brokers.map((broker) => [broker.name, broker]));
}

/** One broker of a pool of its own. */
export function createBroker(name = "a", given: Given = 1, settings: PoolSettings = {}): Broker {
  return createPool("round_robin", { [name]: given }, settings).brokers[0] as Broker;
}

/** The names of an order, in one word. */
export const namesOf = (order: readonly Broker[]) => order.map(({ name }) => name).join("");
