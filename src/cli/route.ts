import type { Configuration, ListenerConfig } from "../config/types.ts";
import { suggest } from "../lib/suggest.ts";
import { addressBytes } from "../lib/network.ts";
import { FAULTS, type Version } from "../mqtt/fault.ts";
import { Routes, type RouteKey } from "../policy/routes.ts";
import { Pool } from "../pool/pool.ts";
import { usage, type CommandLine } from "./arguments.ts";
import { EXIT } from "./exit_codes.ts";
import type { OptionName } from "./options.ts";
import { load, type Context } from "./prepare.ts";
import { reportAll } from "./report.ts";
import type { ConfigProblem } from "../config/problem.ts";

const VERSIONS: Readonly<Record<string, Version>> = { "3.1": 3, "3.1.1": 4, "5": 5 };

/** Where a client would go, which rule decides, and in which order the brokers would be tried. Nothing is dialed. */
export async function route(context: Context): Promise<number> {
  const { runtime, line, reporter } = context;
  const loaded = await load(context);
  if (!("configuration" in loaded)) return reportAll(reporter, loaded);
  const { configuration } = loaded;
  const key = keyOf(line, configuration);
  if ("reason" in key) return reportAll(reporter, [key]);
  const say = (label: string, text: string) => runtime.system.writeOut(`${label.padEnd(9)}${text}`);
  const listener = configuration.listeners.find(({ name }) => name === key.listener) as ListenerConfig;
  const found = new Routes(configuration.routes ?? []).find(key);
  say("listener", key.listener);
  say("route", found === undefined ? "none fits: the listener's pool" : found.name);
  if (found?.refuse !== undefined) {
    const { connack3, connack5 } = FAULTS[found.refuse];
    const code = key.connect?.version === 5 ? `0x${connack5.toString(16)}` : String(connack3);
    say("refused", `${found.refuse}: CONNACK ${code}`);
    return EXIT.ok;
  }
  sayPool(say, configuration, found?.pool ?? listener.pool, key, () => runtime.system.random());
  return EXIT.ok;
}

function sayPool(say: (label: string, text: string) => void, { pools }: Configuration, name: string, { address, connect }: RouteKey, random: () => number): void {
  const config = pools.find((pool) => pool.name === name);
  if (config === undefined) return;
  say("pool", `${name}, ${config.balance}`);
  const order = new Pool(config).order({ key: connect?.clientId || address, random }, 0);
  order.forEach((broker, index) => say(index === 0 ? "brokers" : "", `${index + 1}. ${broker.name}`));
}

function keyOf(line: CommandLine, { listeners }: Configuration): RouteKey | ConfigProblem {
  const one = (name: OptionName) => line.options.get(name)?.values[0];
  const all = (name: OptionName) => line.options.get(name)?.values ?? [];
  const listener = one("listener") ?? listeners[0]?.name ?? "";
  const names = listeners.map(({ name }) => name);
  if (!names.includes(listener)) {
    const near = suggest(listener, names);
    return usage("--listener", `cannot use ${JSON.stringify(listener)} as a listener: expected one of ${names.join(", ")}`, near && `did you mean ${JSON.stringify(near)}?`);
  }
  const version = VERSIONS[one("mqtt") ?? "5"];
  if (version === undefined) return usage("--mqtt", `cannot use ${JSON.stringify(one("mqtt"))} as a version of MQTT: expected 3.1, 3.1.1 or 5`);
  const address = one("address") ?? "127.0.0.1";
  if (address !== "unix" && addressBytes(address) === undefined) return usage("--address", `cannot use ${JSON.stringify(address)} as an address: expected an IP address`);
  const properties = all("user-property").map((text) => [text.split("=", 1)[0] ?? "", text.slice(text.indexOf("=") + 1)] as const);
  if (all("user-property").some((text) => !text.includes("="))) return usage("--user-property", "expected name=value");
  const alpn = one("alpn");
  return {
    listener,
    address,
    serverName: one("sni")?.toLowerCase(),
    alpn: alpn === undefined ? [] : [alpn],
    connect: {
      clientId: one("client-id") ?? "",
      username: one("username"),
      version,
      commonName: one("common-name"),
      alternativeNames: all("san"),
      userProperties: () => properties,
    },
  };
}
