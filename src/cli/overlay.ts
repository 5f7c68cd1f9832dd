import { resolve } from "node:path";
import type { FlagPlaces } from "../config/load.ts";
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
  const problem = overlayLog(overlay) ?? overlayListeners(overlay) ?? overlayCertificate(overlay) ?? overlayPool(overlay);
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

/** --cert and --key go to every mqtts listener. */
function overlayCertificate(overlay: Overlay): ConfigProblem | undefined {
  const flag = overlay.options.get("cert") ?? overlay.options.get("key");
  if (!flag) return undefined;
  const listeners = overlay.document["listeners"];
  let used = 0;
  for (const [index, listener] of Array.isArray(listeners) ? listeners.entries() : []) {
    if (!isTable(listener) || !/^mqtts:/i.test(String(listener["listen"]))) continue;
    const path = ["listeners", index, "tls"];
    overlay.places.set(pathText(path), flag.spelling);
    set(overlay, path, "cert", "cert", absolute(overlay, "cert"));
    set(overlay, path, "key", "key", absolute(overlay, "key"));
    const { tls } = listener;
    const missing = isTable(tls) ? (["cert", "key"] as const).find((name) => tls[name] === undefined) : undefined;
    if (missing) return usage(flag.spelling, `${flag.spelling} is given without --${missing}`, `add --${missing} <file>`);
    used++;
  }
  return used > 0 ? undefined : usage(flag.spelling, `${flag.spelling} has no effect: expected an mqtts:// listener`, "add --listen mqtts://:8883");
}

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
  const flag = overlay.options.get("balance") ?? overlay.options.get("ca") ?? overlay.options.get("insecure");
  if (flag && brokers.length === 0 && names.length > 1 && !names.includes("default")) {
    const reason = `cannot tell which pool ${flag.spelling} is for: there are several pools (${names.join(", ")}), and none is called "default"`;
    return usage(flag.spelling, printable(reason), `write it into the file, such as under [${pathText(["pools", names[0]!])}]`);
  }
  set(overlay, path, "balance", "balance");
  const tls = overlay.options.get("ca") ?? overlay.options.get("insecure");
  if (tls) overlay.places.set(pathText([...path, "tls"]), tls.spelling);
  set(overlay, [...path, "tls"], "ca", "ca", absolute(overlay, "ca"));
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
