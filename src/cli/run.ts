import { printToml } from "../config/print.ts";
import { EVENTS } from "../observe/events.ts";
import { createLog, type Log } from "../observe/log.ts";
import { serviceOfCheck, type ReadMaterial } from "../config/material.ts";
import type { AuthenticationConfig } from "../config/types.ts";
import type { System } from "../runtime/types.ts";
import type { Authority } from "../server/auto_tls.ts";
import type { ListeningAddress, ProxyServer } from "../server/types.ts";
import { bannerBrokers, bannerHead } from "./banner.ts";
import { lacksTlsBackPressure, TLS_WITHOUT_BACK_PRESSURE } from "../server/gaps.ts";
import { EXIT } from "./exit_codes.ts";
import { listenExit, listenProblem } from "./listen_problem.ts";
import { load, materialWithAuto, type Context } from "./prepare.ts";
import { reasonOf, reportAll } from "./report.ts";

/** The proxy, from the command line to the end of the last session. */
export async function run(context: Context): Promise<number> {
  const { runtime, line, reporter } = context;
  const { system } = runtime;
  const loaded = await load(context);
  if (!("configuration" in loaded)) return reportAll(reporter, loaded);
  if (line.options.has("print-config")) {
    system.writeOut(printToml(loaded.document));
    return EXIT.ok;
  }
  const read = await materialWithAuto(loaded, runtime);
  if (!("material" in read)) return reportAll(reporter, read);

  const { configuration } = read;
  const log = createLog(configuration.log, system);
  context.adoptLog(log);
  warn(log, context, read);
  const server = context.createServer({ runtime, configuration, material: read.material, log });
  const failure = await server.start();
  if (failure) {
    reporter.problem(await listenProblem(loaded, "run", failure));
    return listenExit(failure.error);
  }
  const stopped = stopOnSignal(system, server, log);
  if (read.authority !== undefined) tellAuthority(log, read.authority);
  const showsBanner = system.errorIsTerminal && !line.options.has("quiet");
  if (showsBanner) reporter.line(bannerHead(server, runtime, reporter.paint));
  else for (const address of server.addresses) logListener(log, address);
  void server.probe().then((answers) => {
    if (showsBanner) return reporter.line(bannerBrokers(server, configuration, answers, reporter.paint));
    for (const { broker, pool, state, error } of answers) {
      if (state !== undefined) log.info(EVENTS.brokerState, `${broker} begins in ${state}`, { pool, broker, state });
      else if (error) log.warn(EVENTS.brokerDown, `${broker} does not answer: ${reasonOf(error)}`, { pool, broker, "error.type": error.code });
    }
  });
  if (configuration.authentication?.checks.some(serviceOfCheck)) void warnOfServices(log, configuration.authentication);
  await stopped;
  return EXIT.ok;
}

/** Until the first client comes, nobody would know. */
async function warnOfServices(log: Log, authentication: AuthenticationConfig): Promise<void> {
  const { silentServices } = await import("./services.ts");
  for (const line of await silentServices(authentication)) log.warn(EVENTS.serviceDown, line);
}

function warn(log: Log, { runtime, reporter }: Context, { warnings, configuration }: ReadMaterial): void {
  for (const warning of warnings) log.warn(EVENTS.configWarning, warning);
  if (lacksTlsBackPressure(runtime, configuration)) log.warn(EVENTS.configWarning, TLS_WITHOUT_BACK_PRESSURE);
  for (const { name, tls } of configuration.pools) {
    if (!tls.insecure) continue;
    const text = `the certificates of the brokers in pool "${name}" are not verified: whoever is in between can read and change everything`;
    // At every start, also when the log is set to errors only.
    if (log.isOn("warn")) log.warn(EVENTS.brokerInsecure, text, { pool: name });
    else reporter.warning(text);
  }
}

/** Whoever connects has to trust it, so it is told at every start. */
function tellAuthority(log: Log, { file, created }: Authority): void {
  const text = created ? `made a local authority: clients must trust ${file}` : `the certificate is from the local authority: clients must trust ${file}`;
  log.info(EVENTS.certificateAuthority, text, { file });
}

function logListener(log: Log, { name, url, port, pool }: ListeningAddress): void {
  log.info(EVENTS.listenerStart, `accepting on ${url}`, { listener: name, pool, port });
}

/** Fulfilled when the server has stopped: the first signal asks it to, the second insists. */
function stopOnSignal(system: System, server: ProxyServer, log: Log): Promise<void> {
  return new Promise((resolve) => {
    let stopping = false;
    const stop = () => {
      void (stopping ? server.stopNow() : server.stop()).then(resolve);
      stopping = true;
    };
    system.onSignal("SIGTERM", stop);
    system.onSignal("SIGINT", stop);
    system.onSignal("SIGHUP", () => log.warn(EVENTS.configWarning, "SIGHUP: the configuration cannot be reloaded yet; restart sluice to apply changes"));
  });
}
