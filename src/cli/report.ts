import type { ConfigProblem } from "../config/problem.ts";
import { createPaint, wantsColor, type Paint } from "../lib/color.ts";
import type { NetworkError, System } from "../runtime/types.ts";
import type { CommandLine } from "./arguments.ts";

export type Problem = Omit<ConfigProblem, "path" | "exit">;

/** What the commands tell people on stderr. */
export interface Reporter {
  readonly paint: Paint;
  /** `error: place: reason`, and what to do on a line of its own. */
  problem(problem: Problem): void;
  warning(text: string): void;
  line(text: string): void;
}

export function createReporter(system: System, options?: CommandLine["options"]): Reporter {
  const setting = options?.get("color")?.values[0];
  const color = wantsColor(setting === "always" || setting === "never" ? setting : "auto", {
    isTerminal: system.errorIsTerminal,
    env: (name) => system.env(name),
  });
  const paint = createPaint(color);
  return {
    paint,
    problem({ place, reason, suggestion }) {
      system.writeError(`${paint("red", "error:")} ${place}: ${reason}`);
      if (suggestion !== undefined) system.writeError(`       ${suggestion}`);
    },
    warning: (text) => system.writeError(`${paint("yellow", "warning:")} ${text}`),
    line: (text) => system.writeError(text),
  };
}

/** The reason alone: the runtime's messages begin with the address, which the caller has said already. */
export function reasonOf({ message }: NetworkError): string {
  return message.replace(/^(?:connect to|listen on) \S+: /, "");
}

/** Tells all of them; the first decides the exit code. */
export function reportAll(reporter: Reporter, problems: readonly ConfigProblem[]): number {
  for (const problem of problems) reporter.problem(problem);
  return problems[0]!.exit;
}
