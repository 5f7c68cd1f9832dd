import type { AuthenticationConfig, Configuration, ListenerConfig, PoolConfig } from "../config/types.ts";
import { suggest } from "../lib/suggest.ts";
import { addressBytes } from "../lib/network.ts";
import { type FaultCode, FAULTS, type Version } from "../mqtt/fault.ts";
import { Routes, type RouteKey } from "../policy/routes.ts";
import type { Choice } from "../pool/balance/types.ts";
import type { Broker } from "../pool/broker.ts";
import { Pool } from "../pool/pool.ts";
import { explain, type Reason } from "../pool/reason.ts";
import { usage, type CommandLine } from "./arguments.ts";
import { EXIT } from "./exit_codes.ts";
import type { OptionName } from "./options.ts";
import { load, type Context } from "./prepare.ts";
import { reportAll } from "./report.ts";
import type { ConfigProblem } from "../config/problem.ts";

const VERSIONS: Readonly<Record<string, Version>> = { "3.1": 3, "3.1.1": 4, "5": 5 };

/** What the answer has of one broker. */
interface BrokerAnswer {
  readonly name: string;
  readonly weight: number;
  readonly backup: boolean;
  readonly state: "ready" | "drain" | "maint";
}

/** Where a client would go, and why. */
interface Answer {
  readonly listener: string;
  /** What is asked about the client's credentials; none: nothing is. */
  readonly checks: readonly string[];
  /** null: none fits, and the listener's pool it is. */
  readonly route: string | null;
  /** Why it is turned away, in the word of the log and the code of CONNACK. */
  readonly refused: { readonly reason: string; readonly connack: number; readonly detail: string } | null;
  readonly pool: { readonly name: string; readonly balance: string; readonly affinity: boolean } | null;
  /** The word of the log, and in words. */
  readonly decidedBy: { readonly reason: Reason; readonly detail: string } | null;
  /** In the order in which they are tried. */
  readonly brokers: readonly BrokerAnswer[];
  /** Those that take no new clients. */
  readonly leftOut: readonly BrokerAnswer[];
}

/** Which rule decides about a client, where it would go, and in which order the brokers would be tried, by a proxy that has just started. Nothing is dialed. */
export async function route(context: Context): Promise<number> {
  const { runtime, line, reporter } = context;
  const loaded = await load(context);
  if (!("configuration" in loaded)) return reportAll(reporter, loaded);
  const { configuration } = loaded;
  const key = keyOf(line, configuration);
  if ("reason" in key) return reportAll(reporter, [key]);
  const answer = await judge(configuration, key, () => runtime.system.random());
  if (line.options.has("json")) runtime.system.writeOut(JSON.stringify(answer));
  else for (const text of linesOf(answer)) runtime.system.writeOut(text);
  return EXIT.ok;
}

async function judge(configuration: Configuration, key: RouteKey, random: () => number): Promise<Answer> {
  const { authentication, listeners, routes = [], pools } = configuration;
  const listener = listeners.find(({ name }) => name === key.listener) as ListenerConfig;
  const gate = authentication?.listeners.includes(key.listener) ? authentication : undefined;
  const start = { listener: key.listener, checks: gate?.checks.map(({ type }) => type) ?? [], route: null, pool: null, decidedBy: null, brokers: [], leftOut: [] };
  const banned = gate && (await banOf(gate, key));
  if (banned !== undefined) return { ...start, refused: refusal("banned", banned, key) };
  const found = new Routes(routes).find(key);
  const routed = { ...start, route: found?.name ?? null };
  if (found?.refuse !== undefined) return { ...routed, refused: refusal(found.refuse, `turned away by ${found.name}`, key) };
  const pool = new Pool(pools.find(({ name }) => name === (found?.pool ?? listener.pool)) as PoolConfig);
  return { ...routed, ...judgePool(pool, key, random) };
}

function judgePool(pool: Pool, key: RouteKey, random: () => number): Pick<Answer, "refused" | "pool" | "decidedBy" | "brokers" | "leftOut"> {
  const { address, connect } = key;
  const clientId = connect?.clientId ?? "";
  const choice: Choice = { key: clientId || address, username: connect?.username, address, random };
  const { name, config: { balance } } = pool;
  const order = pool.order(choice, 0);
  const reason = order.length === 0 ? undefined : pool.reasonFor(order[0] as Broker, choice, 0);
  return {
    refused: reason === undefined ? refusal("server_unavailable", `no broker of pool "${name}" takes clients now`, key) : null,
    pool: { name, balance, affinity: pool.affinity !== undefined },
    decidedBy: reason === undefined ? null : { reason, detail: explain(reason, pool, choice, clientId) },
    brokers: order.map(brokerAnswer),
    leftOut: pool.brokers.filter((broker) => !order.includes(broker)).map(brokerAnswer),
  };
}

const brokerAnswer = ({ name, config: { weight }, isBackup: backup, state }: Broker): BrokerAnswer => ({ name, weight, backup, state: state.admin });

async function banOf(config: AuthenticationConfig, { listener, address, connect }: RouteKey): Promise<string | undefined> {
  const { bansOf } = await import("../server/gate.ts");
  const identity = { clientId: connect?.clientId ?? "", username: connect?.username, address, listener, password: undefined, certificate: undefined };
  return bansOf(config)?.judge(identity, 0)?.detail;
}

function refusal(reason: FaultCode, detail: string, { connect }: RouteKey): NonNullable<Answer["refused"]> {
  const { connack3, connack5 } = FAULTS[reason];
  return { reason, connack: connect?.version === 5 ? connack5 : connack3, detail };
}

function* linesOf({ listener, checks, route: rule, refused, pool, decidedBy, brokers, leftOut }: Answer): Iterable<string> {
  const row = (label: string, text: string) => `${label.padEnd(9)}${text}`;
  yield row("listener", listener);
  if (checks.length > 0) yield row("checks", `${checks.join(", ")}; --username stands for the name that they find`);
  if (rule !== null || pool !== null) yield row("route", rule ?? "none fits: the listener's pool");
  if (pool !== null) yield row("pool", `${pool.name}, ${pool.balance}${pool.affinity ? "; a client whose MQTT session a broker holds goes back to that one" : ""}`);
  if (decidedBy !== null) yield row("decided", `${decidedBy.reason}: ${decidedBy.detail}`);
  const facts = ({ weight, backup }: BrokerAnswer) => [weight > 1 ? `weight ${weight}` : "", backup ? "backup" : ""].filter((fact) => fact !== "").join(", ");
  for (const [index, broker] of brokers.entries()) yield row(index === 0 ? "brokers" : "", `${index + 1}. ${[broker.name, facts(broker)].filter((text) => text !== "").join("  ")}`);
  for (const [index, { name, state }] of leftOut.entries()) yield row(index === 0 ? "left out" : "", `${name}  ${state === "ready" ? "while the first one is well" : state}`);
  if (refused !== null) yield row("refused", `${refused.reason}: CONNACK ${refused.connack > 9 ? `0x${refused.connack.toString(16)}` : refused.connack}, ${refused.detail}`);
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
  const unknowable = findUnknowable(line, version, listeners.find(({ name }) => name === listener) as ListenerConfig);
  if (unknowable !== undefined) return unknowable;
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

/** What no such client can have: with it, a rule would be named that never decides about one. */
function findUnknowable({ options }: CommandLine, version: Version, { name, tls, proxyProtocol }: ListenerConfig): ConfigProblem | undefined {
  const hasProperties = options.has("user-property");
  if (hasProperties && version !== 5) return usage("--user-property", "user properties are of MQTT 5: expected --mqtt 5", "leave out --user-property or --mqtt");
  // A PROXY header can tell of TLS as well.
  if (tls !== undefined || proxyProtocol !== undefined) return undefined;
  const flag = (["sni", "alpn", "common-name", "san"] as const).find((each) => options.has(each));
  const reason = `listener ${JSON.stringify(name)} has no tls, and so its clients have nothing of the kind`;
  return flag && usage(`--${flag}`, reason, "name another one with --listener, or leave this out");
}
