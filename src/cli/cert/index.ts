import type { ConfigProblem } from "../../config/problem.ts";
import { suggest } from "../../lib/suggest.ts";
import { printable } from "../../lib/text.ts";
import { usage, type CommandLine } from "../arguments.ts";
import type { Context } from "../prepare.ts";
import { reportAll } from "../report.ts";
import { makeCa } from "./ca.ts";
import { makeClient } from "./client.ts";
import { inspect } from "./inspect.ts";
import { makeServer } from "./server.ts";
import { isSubcommand, SUBCOMMANDS, type Subcommand, type SubcommandName } from "./subcommands.ts";

const RUN: Record<SubcommandName, (context: Context, words: readonly string[]) => Promise<number>> = {
  ca: makeCa,
  server: makeServer,
  client: makeClient,
  inspect,
};

/** `sluice cert ...`: answers with the exit code. */
export async function cert(context: Context): Promise<number> {
  const { line, reporter } = context;
  const [name, ...words] = line.positionals;
  if (name === undefined || !isSubcommand(name)) return reportAll(reporter, [unknown(name)]);
  const problem = findProblem(name, words, line);
  return problem ? reportAll(reporter, [problem]) : RUN[name](context, words);
}

function unknown(name: string | undefined): ConfigProblem {
  const names = Object.keys(SUBCOMMANDS);
  const expected = `expected ${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
  if (name === undefined) return usage("command line", `nothing to do: ${expected} after "sluice cert"`, '"sluice cert --help" tells what each does');
  const near = suggest(name, names);
  return usage("command line", `unknown command ${JSON.stringify(printable(`cert ${name}`))}: ${expected}`, near && `did you mean "sluice cert ${near}"?`);
}

/** What the words say together that they may not. */
function findProblem(name: SubcommandName, words: readonly string[], { options }: CommandLine): ConfigProblem | undefined {
  const { options: own, positionalsMin, positionalsMax, usage: text }: Subcommand = SUBCOMMANDS[name];
  for (const [option, { spelling }] of options) {
    if (own.includes(option)) continue;
    const owners = Object.entries(SUBCOMMANDS).filter(([, spec]: [string, Subcommand]) => spec.options.includes(option));
    return usage(spelling, `not an option of "sluice cert ${name}"`, `it belongs to ${owners.map(([owner]) => `"sluice cert ${owner}"`).join(" and ")}`);
  }
  if (words.length < positionalsMin) return usage("command line", `"sluice cert ${name}" needs more: expected "sluice cert ${text}"`);
  const extra = words[positionalsMax];
  return extra === undefined ? undefined : usage("command line", `cannot use ${JSON.stringify(printable(extra))}: expected "sluice cert ${text}"`);
}
