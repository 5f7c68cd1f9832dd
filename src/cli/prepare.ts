import { loadConfiguration, type Loaded } from "../config/load.ts";
import type { ReadMaterial } from "../config/material.ts";
import { fileErrorWords } from "../config/file.ts";
import { wantsCertificate } from "../config/meaning_listener.ts";
import type { ConfigProblem } from "../config/problem.ts";
import type { Log } from "../observe/log.ts";
import type { Configuration, Material } from "../config/types.ts";
import { printable } from "../lib/text.ts";
import type { Runtime } from "../runtime/types.ts";
import type { Authority } from "../server/auto_tls.ts";
import { readMaterial } from "../server/read_material.ts";
import type { ProxyServer } from "../server/types.ts";
import { isToml, usage, type CommandLine } from "./arguments.ts";
import { overlayFlags } from "./overlay.ts";
import type { Reporter } from "./report.ts";

/** What a command is given to work with. */
export interface Context {
  readonly runtime: Runtime;
  readonly line: CommandLine;
  readonly reporter: Reporter;
  readonly createServer: (options: ServerOptions) => ProxyServer;
  /** Faults that nobody caught go to this log from now on. */
  readonly adoptLog: (log: Log) => void;
}

export interface ServerOptions {
  readonly runtime: Runtime;
  readonly configuration: Configuration;
  readonly material: Material;
  readonly log: Log;
}

/** The configuration of run and check: the file under the flags. */
export async function load({ runtime, line }: Context): Promise<Loaded | readonly ConfigProblem[]> {
  const positional = line.command === "check" || line.command === "route" ? line.positionals[0] : undefined;
  const config = line.options.get("config");
  if (positional !== undefined && config) {
    return [usage(config.spelling, `${config.spelling} and "${positional}" both name a file: expected one of them`)];
  }
  const file = positional ?? config?.values[0];
  const brokers = line.command === "run" ? line.positionals : [];
  if (file === undefined && brokers.length === 0 && !line.options.has("to")) return [noBroker(line)];
  const loaded = await loadConfiguration(runtime.system, { file, overlay: (document) => overlayFlags(line.options, brokers, document) });
  return "configuration" in loaded ? loaded : loaded.map((problem) => (problem.exit === 66 && problem.place === positional && !isToml(positional) ? { ...problem, suggestion: `for a broker write --to ${printable(positional)}` } : problem));
}

function noBroker({ command }: CommandLine): ConfigProblem {
  return command === "check"
    ? usage("command line", "nothing to check: expected a TOML file or a broker", 'type "sluice check sluice.toml" or "sluice check --to mqtt://10.0.0.5"')
    : usage("command line", "no broker to send clients to: expected a broker or a TOML file", 'type "sluice mqtt://10.0.0.5", "sluice --config sluice.toml", or "sluice demo" to see it work');
}

/** The configuration's files, with problems at the places where the files are named. */
export async function material(loaded: Loaded, runtime: Runtime, configuration = loaded.configuration): Promise<ReadMaterial | readonly ConfigProblem[]> {
  const unreadable = await unreadableAuthorities(configuration, runtime);
  if (unreadable) return [unreadable];
  const read = await readMaterial(configuration, runtime.system);
  return read.problems ? loaded.locate(read.problems) : read;
}

/** The file that stands in for the system's authorities, where brokers are verified against those. */
async function unreadableAuthorities({ pools }: Configuration, { system }: Runtime): Promise<ConfigProblem | undefined> {
  const file = system.env("SSL_CERT_FILE");
  const isAsked = pools.some(({ brokers, tls }) => tls.caFile === undefined && !tls.insecure && brokers.some(({ scheme }) => scheme === "mqtts" || scheme === "wss"));
  const read = file && isAsked ? await system.readFile(file) : undefined;
  if (read === undefined || read instanceof Uint8Array) return undefined;
  return { ...usage("SSL_CERT_FILE", `cannot read "${printable(file ?? "")}": ${fileErrorWords(read)}`, "name a PEM file of the authorities to trust, or unset it"), exit: 66 };
}

/** The same, with the certificates of tls = "auto", which are made now if they are missing. */
export async function materialWithAuto(loaded: Loaded, runtime: Runtime): Promise<(ReadMaterial & { readonly authority: Authority | undefined }) | readonly ConfigProblem[]> {
  const index = loaded.configuration.listeners.findIndex(wantsCertificate);
  const auto = index < 0 ? undefined : await (await import("../server/auto_tls.ts")).withAutoCertificates(loaded.configuration, runtime.system);
  if (auto !== undefined && "reason" in auto) {
    return loaded.locate([{ place: "configuration", path: ["listeners", index, "tls"], reason: auto.reason, suggestion: auto.suggestion, exit: 78 }]);
  }
  const read = await material(loaded, runtime, auto?.configuration);
  return "material" in read ? { ...read, warnings: [...(auto?.warnings ?? []), ...read.warnings], authority: auto?.authority } : read;
}
