import { runtime } from "#runtime";
import { wantsCertificate } from "./config/meaning_listener.ts";
import { readMaterial } from "./server/read_material.ts";
import type { ConfigProblem } from "./config/problem.ts";
import { resolveConfiguration } from "./config/resolve.ts";
import type { ConfigInput } from "./config/schema.ts";
import { EVENTS } from "./observe/events.ts";
import { createLog, type Log } from "./observe/log.ts";
import { lacksTlsBackPressure, TLS_WITHOUT_BACK_PRESSURE } from "./server/gaps.ts";
import { createProxyServer } from "./server/proxy.ts";
import type { SessionEnd, SessionInfo } from "./server/report.ts";
import type { BrokerAnswer, BrokerChange, BrokerInfo, ListeningAddress } from "./server/types.ts";

export type { BrokerAnswer, BrokerChange, BrokerInfo, ConfigInput, ConfigProblem, ListeningAddress, Log, SessionEnd, SessionInfo };

export interface ProxyEvents {
  /** A client is through: its broker accepted it. */
  readonly onOpen?: (session: SessionInfo) => void;
  /** A session has ended, or a client was turned away. */
  readonly onClose?: (session: SessionEnd) => void;
  /** Where log lines go. Default: stderr when the configuration has a `log` table, otherwise nowhere. */
  readonly log?: Log;
}

/** The same core that the executable runs, inside of another program. */
export interface Proxy {
  /** What accepts: with `listen = "mqtt://127.0.0.1:0"` this tells the port. */
  readonly addresses: readonly ListeningAddress[];
  readonly sessionCount: number;
  /** Clients turned away since the start, by the code of the reason (`reason` in the log). */
  readonly refusals: ReadonlyMap<string, number>;
  /** All brokers of all pools: their states and since when, why, and how many sessions they have. */
  readonly brokers: readonly BrokerInfo[];
  /**
   * `state`: "ready"; "drain": no new clients but those whose MQTT session it holds; "maint": none, and those that it has are closed over
   * `evict_within`. Lasts until the program ends. Throws a RangeError, which names what there is, for a broker or a value that cannot be.
   */
  setBroker(pool: string, broker: string, change: BrokerChange): void;
  /** Dials each broker once and hangs up. */
  probe(): Promise<BrokerAnswer[]>;
  /** Graceful: no new clients, MQTT 5 clients are told, the rest have `drain_timeout` to end. */
  stop(): Promise<void>;
  /** Closes everything at once. */
  stopNow(): Promise<void>;
}

/** The configuration cannot be used; `problems` has each with its place. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(({ place, reason, suggestion }) => [`${place}: ${reason}`, ...(suggestion ? [suggestion] : [])].join("; ")).join("\n"));
    this.problems = problems;
  }
}

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {}, isOn: () => false };

/**
 * Starts a proxy: the configuration has the shape of the TOML file. Resolves when every listener accepts.
 *
 * Throws a ConfigurationError, or an Error that names the address that could not be had; nothing is left running then.
 */
export async function createProxy(input: ConfigInput, events: ProxyEvents = {}): Promise<Proxy> {
  const resolved = resolveConfiguration(input);
  if (resolved.problems) throw new ConfigurationError(resolved.problems);
  const auto = resolved.configuration.listeners.some(wantsCertificate)
    ? await (await import("./server/auto_tls.ts")).withAutoCertificates(resolved.configuration, runtime.system)
    : undefined;
  if (auto !== undefined && "reason" in auto) {
    throw new ConfigurationError([{ place: "configuration", path: ["listeners"], reason: auto.reason, suggestion: auto.suggestion, exit: 78 }]);
  }
  const read = await readMaterial(auto?.configuration ?? resolved.configuration, runtime.system);
  if (read.problems) throw new ConfigurationError(read.problems);
  const { configuration, material } = read;
  const log = events.log ?? (input.log === undefined ? SILENT : createLog(configuration.log, runtime.system));
  for (const warning of [...(auto?.warnings ?? []), ...read.warnings]) log.warn(EVENTS.configWarning, warning);
  if (lacksTlsBackPressure(runtime, configuration)) log.warn(EVENTS.configWarning, TLS_WITHOUT_BACK_PRESSURE);
  const server = createProxyServer({ runtime, configuration, material, log, onOpen: events.onOpen, onClose: events.onClose });
  const failure = await server.start();
  if (failure !== undefined) throw new Error(`cannot ${failure.error.message}`, { cause: failure.error });
  return server;
}
