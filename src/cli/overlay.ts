import { resolve } from "node:path";
import type { FlagPlaces } from "../config/load.ts";
import { DEFAULT_LISTENERS } from "../config/schema.ts";
import { pathText, type ConfigProblem, type KeyPath } from "../config/problem.ts";
import { printable } from "../lib/text.ts";
import { usage, type CommandLine } from "./arguments.ts";
import type { OptionName } from "./options.ts";

type Table = Record<string, unknown>;

export interface Overlay {
  readonly options: CommandLine["options"];
  /** The brokers that were given without --to. */
  readonly brokers: readonly string[];
  readonly document: Table;
  /** Which flag set which key. */
  readonly places: Map<string, string>;
}

/** Lays the flags over the document, in place: a flag wins over its key. */
export function overlayFlags(options: CommandLine["options"], brokers: readonly string[], document: Table): FlagPlaces | ConfigProblem {
  const overlay: Overlay = { options, brokers, document, places: new Map() };
  const problem = overlayLog(overlay) ?? overlayListeners(overlay) ?? overlayListenerTls(overlay) ?? overlayTrust(overlay) ?? overlayPool(overlay);
  return problem ?? overlay.places;
}

function overlayLog(overlay: Overlay): ConfigProblem | undefined {
  const levels = (["quiet", "verbose", "log-level"] as const).flatMap((name) => overlay.options.get(name)?.spelling ?? []);
  if (levels.length > 1) return usage(levels[0]!, `${levels[0]} and ${levels[1]} contradict each other: expected one of them`);
  const path = ["log"];
  if (overlay.options.has("quiet")) set(overlay, path, "level", "quiet", "error");
  if (overlay.options.has("verbose")) set(overlay, path, "level", "verbose", "debug");
  set(overlay, path, "level", "log-level");
  set(overlay, path, "format", "log-format");
  set(overlay, path, "color", "color");
  return undefined;
}

function overlayListeners({ options, document, places }: Overlay): undefined {
  const listen = options.get("listen");
  if (!listen) return;
  document["listeners"] = listen.values.map((url) => ({ listen: url }));
  places.set("listeners", listen.spelling);
  listen.values.forEach((_, index) => places.set(`listeners[${index}]`, listen.spelling));
}

/** --cert, --key, --tls and --client-ca go to every listener that speaks TLS. */
function overlayListenerTls(overlay: Overlay): ConfigProblem | undefined {
  const { options, document, places } = overlay;
  const flag = options.get("tls") ?? options.get("cert") ?? options.get("key") ?? options.get("client-ca");
  if (!flag) return undefined;
  const pair = options.get("cert") ?? options.get("key");
  const how = options.get("tls");
  if (pair && how) return usage(flag.spelling, `${flag.spelling} and ${pair.spelling} contradict each other: expected one of them`);
  if (how && how.values[0] !== "auto" && how.values[0] !== "passthrough") return usage(how.spelling, `cannot use ${JSON.stringify(printable(how.values[0] ?? ""))} as ${how.spelling}: expected auto or passthrough`);
  let used = 0;
  for (const [index, listener] of listenersOf(document)) {
    if (!/^(mqtts|wss|any)[:+]/i.test(String(listener["listen"]))) continue;
    if (listener["tls"] === "auto") listener["tls"] = { auto: true };
    const own = pair ?? options.get("client-ca");
    if (own && (how?.values[0] ?? listener["tls"]) === "passthrough") {
      return usage(own.spelling, `${own.spelling} has no effect where TLS is passed through: certificates are the broker's affair`, `remove ${own.spelling} or "passthrough"`);
    }
    const path = ["listeners", index, "tls"];
    places.set(pathText(path), flag.spelling);
    if (how?.values[0] === "auto") set(overlay, path, "auto", "tls", true);
    else if (how) set(overlay, ["listeners", index], "tls", "tls");
    set(overlay, path, "cert", "cert", absolute(overlay, "cert"));
    set(overlay, path, "key", "key", absolute(overlay, "key"));
    set(overlay, path, "ca", "client-ca", absolute(overlay, "client-ca"));
    const { tls } = listener;
    const missing = pair && isTable(tls) ? (["cert", "key"] as const).find((name) => tls[name] === undefined) : undefined;
    if (missing) return usage(flag.spelling, `${flag.spelling} is given without --${missing}`, `add --${missing} <file>`);
    used++;
  }
  return used > 0 ? undefined : usage(flag.spelling, `${flag.spelling} has no effect: expected an mqtts://, wss:// or any:// listener`, "add --listen mqtts://:8883");
}

/** --trust-proxy goes to every listener; one that the file does not give is made. */
function overlayTrust(overlay: Overlay): undefined {
  const trusted = overlay.options.get("trust-proxy");
  if (!trusted) return;
  overlay.document["listeners"] ??= DEFAULT_LISTENERS.map((listener) => ({ ...listener }));
  for (const [index] of listenersOf(overlay.document)) {
    const path = ["listeners", index, "proxy_protocol"];
    overlay.places.set(pathText(path), trusted.spelling);
    set(overlay, path, "from", "trust-proxy", trusted.values);
  }
}

function listenersOf(document: Table): [number, Table][] {
  const { listeners } = document;
  return Array.isArray(listeners) ? [...listeners.entries()].filter((entry): entry is [number, Table] => isTable(entry[1])) : [];
}

const POOL_FLAGS = ["balance", "ca", "insecure", "broker-cert", "broker-key", "send-proxy", "via"] as const;

function overlayPool(overlay: Overlay): ConfigProblem | undefined {
  const pools = overlay.document["pools"];
  // The same rule as for listeners: "default", or the only pool.
  const names = isTable(pools) ? Object.keys(pools) : [];
  const path = ["pools", names.length === 1 ? names[0]! : "default"];
  const to = overlay.options.get("to");
  const brokers = [...overlay.brokers, ...(to?.values ?? [])];
  if (brokers.length > 0) {
    tableAt(overlay.document, path)["brokers"] = brokers;
    overlay.places.set(pathText([...path, "brokers"]), to?.spelling ?? "command line");
  }
  const flag = POOL_FLAGS.map((name) => overlay.options.get(name)).find((option) => option !== undefined);
  if (flag && brokers.length === 0 && names.length > 1 && !names.includes("default")) {
    const reason = `cannot tell which pool ${flag.spelling} is for: there are several pools (${names.join(", ")}), and none is called "default"`;
    return usage(flag.spelling, printable(reason), `write it into the file, such as under [${pathText(["pools", names[0]!])}]`);
  }
  set(overlay, path, "balance", "balance");
  set(overlay, path, "proxy_protocol", "send-proxy");
  set(overlay, path, "via", "via");
  const tls = (["ca", "insecure", "broker-cert", "broker-key"] as const).map((name) => overlay.options.get(name)).find((option) => option !== undefined);
  if (tls) overlay.places.set(pathText([...path, "tls"]), tls.spelling);
  set(overlay, [...path, "tls"], "ca", "ca", absolute(overlay, "ca"));
  set(overlay, [...path, "tls"], "cert", "broker-cert", absolute(overlay, "broker-cert"));
  set(overlay, [...path, "tls"], "key", "broker-key", absolute(overlay, "broker-key"));
  if (overlay.options.has("insecure")) set(overlay, [...path, "tls"], "insecure", "insecure", true);
  return undefined;
}

/** Sets one key if its flag was given, to the flag's value unless another is said. */
function set(overlay: Overlay, path: KeyPath, key: string, name: OptionName, value: unknown = overlay.options.get(name)?.values[0]): void {
  const option = overlay.options.get(name);
  if (!option || value === undefined) return;
  tableAt(overlay.document, path)[key] = value;
  overlay.places.set(pathText([...path, key]), option.spelling);
}

/** The table at a path, made if there is none. Something there that is no table stays, for the schema to refuse. */
function tableAt(document: Table, path: KeyPath): Table {
  let table = document;
  for (const key of path) {
    const inner = (table[key] ??= {});
    if (typeof inner !== "object" || inner === null) return {};
    table = inner as Table;
  }
  return table;
}

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Flags name files as seen from the working directory. */
function absolute({ options }: Overlay, name: OptionName): string | undefined {
  const file = options.get(name)?.values[0];
  return file === undefined ? undefined : resolve(file);
}
