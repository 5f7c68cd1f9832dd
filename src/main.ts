import { runtime } from "#runtime";
import { dispatch } from "./cli/dispatch.ts";
import { EXIT } from "./cli/exit_codes.ts";
import { EVENTS } from "./observe/events.ts";
import type { Log } from "./observe/log.ts";
import { createProxyServer } from "./server/proxy.ts";

const { system } = runtime;
let log: Log | undefined;

/** One bad session must not end all the others: once the proxy runs, a fault that nobody caught is a line in the log. */
function onFault(fault: unknown): void {
  const { name, message } = fault instanceof Error ? fault : { name: typeof fault, message: String(fault) };
  if (log) return log.error(EVENTS.internalError, message, { "error.type": name });
  system.writeError(`error: sluice failed: ${message}`);
  system.exit(EXIT.internal);
}

process.on("uncaughtException", onFault);
process.on("unhandledRejection", onFault);

// Not awaited: Bun spins at full speed on a top-level await that does not settle.
dispatch(runtime, {
  createServer: createProxyServer,
  adoptLog: (adopted) => void (log = adopted),
}).then((code) => system.exit(code), (fault: unknown) => {
  log = undefined;
  onFault(fault);
});
