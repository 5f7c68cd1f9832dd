import { parseDuration } from "../config/units.ts";
import { quote } from "../config/problem.ts";
import type { Runtime } from "../runtime/types.ts";
import { readArguments, usage } from "./arguments.ts";
import { EXIT } from "./exit_codes.ts";
import { helpText } from "./help.ts";
import type { Context } from "./prepare.ts";
import { createReporter, reportAll } from "./report.ts";
import { run } from "./run.ts";
import { VERSION } from "./version.ts";

export type Parts = Pick<Context, "createServer" | "adoptLog">;

/** The whole program, from its arguments to its exit code. */
export async function dispatch(runtime: Runtime, parts: Parts): Promise<number> {
  const { system } = runtime;
  const line = readArguments(system.arguments);
  if ("reason" in line) return reportAll(createReporter(system), [line]);
  const reporter = createReporter(system, line.options);
  const wanted = system.env("SLUICE_RUNTIME");
  if (wanted && wanted !== "net") {
    return reportAll(reporter, [usage("SLUICE_RUNTIME", `cannot use ${quote(wanted)} as a runtime: expected "net", or no such variable`)]);
  }
  const context: Context = { ...parts, runtime, line, reporter };

  if (line.options.has("help")) {
    system.writeOut(helpText(line.command));
    return EXIT.ok;
  }
  if (line.command === "version" || line.options.has("version")) {
    system.writeOut(`sluice ${VERSION} (${runtime.name} ${runtime.version})`);
    return EXIT.ok;
  }
  // What the proxy does not need to run is loaded where it is asked for.
  switch (line.command) {
    case "schema":
      system.writeOut(JSON.stringify((await import("../config/json_schema.ts")).jsonSchema(), undefined, 2));
      return EXIT.ok;
    case "route":
      return (await import("./route.ts")).route(context);
    case "check":
      return (await import("./check.ts")).check(context);
    case "cert":
      return (await import("./cert/index.ts")).cert(context);
    case "passwd":
      return (await import("./passwd.ts")).passwd(context);
    case "demo":
      return demo(context);
    default:
      return run(context);
  }
}

async function demo({ runtime, line, reporter }: Context): Promise<number> {
  const duration = line.options.get("for");
  const text = duration?.values[0] ?? "";
  const forMs = duration && parseDuration(text);
  if (duration && !(forMs! > 0)) {
    return reportAll(reporter, [usage(duration.spelling, `cannot use ${quote(text)} as a duration: expected one with its unit, such as 500ms, 10s or 2m`, /^\d+$/.test(text) ? `write ${text}s for seconds` : undefined)]);
  }
  const { runDemo } = await import("./demo.ts");
  return runDemo({ runtime, forMs, paint: reporter.paint });
}
