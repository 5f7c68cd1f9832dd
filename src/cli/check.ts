import type { Loaded } from "../config/load.ts";
import { placeOf } from "../config/address.ts";
import { serviceOfCheck } from "../config/material.ts";
import type { CertificateMaterial, ListenerConfig, Material } from "../config/types.ts";
import { createLog } from "../observe/log.ts";
import type { Listener, NetworkError, Runtime } from "../runtime/types.ts";
import { wantsCertificate } from "../config/meaning_listener.ts";
import { stateDirectory } from "../transport/certificates/state_directory.ts";
import { listenOptions, tlsOptions } from "../server/listen_options.ts";
import { lacksTlsBackPressure, TLS_WITHOUT_BACK_PRESSURE } from "../server/gaps.ts";
import { EXIT } from "./exit_codes.ts";
import { listenExit, listenProblem } from "./listen_problem.ts";
import { load, material, type Context } from "./prepare.ts";
import { reasonOf, reportAll } from "./report.ts";

/** Everything that run needs, without starting: the configuration, its files, the addresses, the brokers. */
export async function check(context: Context): Promise<number> {
  const { runtime, reporter } = context;
  const loaded = await load(context);
  if (!("configuration" in loaded)) return reportAll(reporter, loaded);
  const read = await material(loaded, runtime);
  if (!("material" in read)) return reportAll(reporter, read);
  for (const warning of [...read.warnings, ...read.expired]) reporter.warning(warning);
  if (lacksTlsBackPressure(runtime, read.configuration)) reporter.warning(TLS_WITHOUT_BACK_PRESSURE);
  for (const { name, tls } of read.configuration.pools) {
    if (tls.insecure) reporter.warning(`the certificates of the brokers in pool "${name}" are not verified`);
  }

  for (const { name } of read.configuration.listeners.filter(wantsCertificate)) {
    reporter.line(`listener "${name}" gets its certificate from the local authority in ${await stateDirectory(runtime.system)}, made at the start if there is none`);
  }
  const refused = await tryListeners(context, loaded, read.material);
  const log = createLog(read.configuration.log, runtime.system);
  const server = context.createServer({ runtime, configuration: read.configuration, material: read.material, log });
  for (const { pool, broker, state, error, milliseconds } of await server.probe()) {
    if (state !== undefined) reporter.line(`${broker} in pool "${pool}" begins in ${state}; it ${error ? `does not answer: ${reasonOf(error)}` : "answers"}`);
    else if (error) reporter.warning(`${broker} in pool "${pool}" does not answer: ${reasonOf(error)}`);
    else reporter.line(`${broker} in pool "${pool}" answers in ${Math.max(1, Math.round(milliseconds))} ms`);
  }
  const { authentication } = read.configuration;
  if (authentication?.checks.some(serviceOfCheck)) for (const line of await (await import("./services.ts")).silentServices(authentication)) reporter.warning(line);
  if (refused !== undefined) return refused;
  runtime.system.writeOut("ok");
  return EXIT.ok;
}

/** Opens every address, as run does, then lets go of them; answers with the exit code of the first that could not be had. */
async function tryListeners({ runtime, reporter }: Context, loaded: Loaded, { listeners }: Material): Promise<number | undefined> {
  let refused: number | undefined;
  const opened: Listener[] = [];
  for (const config of loaded.configuration.listeners) {
    const error = await tryTls(runtime, config, listeners.get(config.name) ?? []) ?? await tryListener(runtime, config, opened);
    if (error === undefined) continue;
    refused ??= listenExit(error);
    reporter.problem(await listenProblem(loaded, "check", { listener: config.name, address: placeOf(config), error }));
  }
  await Promise.all(opened.map((listener) => listener.close()));
  return refused;
}

async function tryListener(runtime: Runtime, config: ListenerConfig, opened: Listener[]): Promise<NetworkError | undefined> {
  const options = listenOptions(config, runtime.system);
  if ("code" in options) return options;
  try {
    opened.push(await runtime.listen(options, { admit: () => false, accept: () => {} }));
    return undefined;
  } catch (error) {
    return error as NetworkError;
  }
}

async function tryTls(runtime: Runtime, { tls }: ListenerConfig, materials: readonly CertificateMaterial[]): Promise<NetworkError | undefined> {
  if (tls === undefined || tls === "passthrough") return undefined;
  for (const material of materials) {
    const context = await runtime.createTlsContext(tlsOptions(tls, material));
    if ("code" in context) return context;
  }
  return undefined;
}
