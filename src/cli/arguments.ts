import type { ConfigProblem } from "../config/problem.ts";
import { suggest } from "../lib/suggest.ts";
import { printable } from "../lib/text.ts";
import { COMMANDS, OPTIONS, type CommandName, type OptionName, type OptionSpec } from "./options.ts";

export interface CommandLine {
  readonly command: CommandName;
  readonly positionals: readonly string[];
  /** Switches have no values. `spelling` is how the user wrote the flag. */
  readonly options: ReadonlyMap<OptionName, { readonly spelling: string; readonly values: readonly string[] }>;
}

/** What was found on the command line so far. */
interface Scan {
  /** The word that the line begins with, if that is a command: for letters that two commands share. */
  readonly leading: CommandName;
  readonly positionals: string[];
  /** Whether the first positional may be a command: not after `--`. */
  firstIsWord: boolean;
  readonly options: Map<OptionName, { spelling: string; values: string[] }>;
}

const specs: readonly OptionSpec[] = OPTIONS;

export function readArguments(words: readonly string[]): CommandLine | ConfigProblem {
  const scan = scanWords(words);
  if ("reason" in scan) return scan;
  let first = scan.firstIsWord ? scan.positionals[0] : undefined;
  if (first === "help") {
    scan.positionals.shift();
    first = scan.positionals[0];
    if (first !== undefined && first !== "run" && !isCommand(first)) return unknownTopic(first);
    scan.options.set("help", { spelling: "help", values: [] });
  }
  const command: CommandName = first !== undefined && isCommand(first) ? first : "run";
  const line = { command, positionals: command === "run" ? scan.positionals : scan.positionals.slice(1), options: scan.options };
  return findProblem(line, first) ?? line;
}

function unknownTopic(word: string): ConfigProblem {
  const near = suggest(word, Object.keys(COMMANDS));
  return usage("command line", `no help on ${JSON.stringify(printable(word))}: expected a command`, near === undefined ? '"sluice help" lists them' : `did you mean "sluice help ${near}"?`);
}

function isCommand(word: string): word is Exclude<CommandName, "run"> {
  return word !== "run" && Object.hasOwn(COMMANDS, word);
}

function scanWords(words: readonly string[]): Scan | ConfigProblem {
  const [word0 = ""] = words;
  const scan: Scan = { leading: isCommand(word0) ? word0 : "run", positionals: [], firstIsWord: false, options: new Map() };
  // Only a guess, because flags may stand in front of it: good enough for suggestions.
  const command = words.find(isCommand) ?? "run";
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    if (word === "--") {
      scan.positionals.push(...words.slice(index + 1));
      break;
    }
    if (word === "-" || !word.startsWith("-")) {
      if (scan.positionals.length === 0) scan.firstIsWord = true;
      scan.positionals.push(word);
      continue;
    }
    const taken = word.startsWith("--") ? takeLong(scan, word, words[index + 1]) : takeShort(scan, word, words[index + 1]);
    if (typeof taken === "object" && "unknown" in taken) return unknownOption(taken.unknown, command);
    if (typeof taken !== "number") return taken;
    index += taken;
  }
  return scan;
}

/** How many further words it took, or what is wrong. */
type Taken = number | { readonly unknown: string } | ConfigProblem;

/** `--name`, `--name value` or `--name=value`. */
function takeLong(scan: Scan, word: string, next: string | undefined): Taken {
  const equals = word.indexOf("=");
  const spelling = equals < 0 ? word : word.slice(0, equals);
  const spec = specs.find((option) => `--${option.name}` === spelling);
  if (!spec) return { unknown: spelling };
  return take(scan, spec, spelling, equals < 0 ? undefined : word.slice(equals + 1), next);
}

/** `-q`, `-qv`, `-l value`, `-lvalue` or `-l=value`. */
function takeShort(scan: Scan, word: string, next: string | undefined): Taken {
  if (specs.some((option) => option.name === word.slice(1).split("=")[0])) return { unknown: word.split("=")[0]! };
  for (let at = 1; at < word.length; at++) {
    const spelling = `-${word[at]}`;
    const sharing = specs.filter((option) => option.short === word[at]);
    const spec = sharing.find((option) => option.commands.includes(scan.leading)) ?? sharing[0];
    if (!spec) return { unknown: spelling };
    const rest = word.slice(at + 1);
    if (spec.value !== undefined || rest.startsWith("=")) {
      return take(scan, spec, spelling, rest === "" ? undefined : rest.replace(/^=/, ""), next);
    }
    const taken = take(scan, spec, spelling, undefined, undefined);
    if (typeof taken !== "number") return taken;
  }
  return 0;
}

function take(scan: Scan, spec: OptionSpec, spelling: string, attached: string | undefined, next: string | undefined): number | ConfigProblem {
  const name = spec.name as OptionName;
  const before = scan.options.get(name);
  if (before && spec.value !== undefined && !spec.repeatable) return usage(spelling, "given twice: expected it once");
  const entry = before ?? { spelling, values: [] };
  scan.options.set(name, entry);
  if (spec.value === undefined) {
    return attached === undefined ? 0 : usage(spelling, `takes no value, got ${JSON.stringify(printable(attached))}`, `write ${spelling}`);
  }
  const value = attached ?? (next !== undefined && isFlag(next) ? undefined : next);
  if (value === undefined || value === "") {
    const suggestion = next !== undefined && attached === undefined && value === undefined ? `for the value "${printable(next)}" write --${spec.name}=${printable(next)}` : undefined;
    return usage(spelling, `needs a value: expected <${spec.value}>${value === "" ? ', got ""' : ""}`, suggestion);
  }
  entry.values.push(value);
  return attached === undefined ? 1 : 0;
}

/** Whether the word is one of our flags, and so hardly the value of another. */
function isFlag(word: string): boolean {
  return word === "--" || specs.some((option) => word === `--${option.name}` || word.startsWith(`--${option.name}=`) || (option.short !== undefined && word === `-${option.short}`));
}

/** What other programs call their main command. Ours has no word, and none of these is likely the name of a broker. */
const NO_COMMANDS: ReadonlySet<string> = new Set(["run", "start", "serve"]);

/** Whether a word looks like the file of a configuration. */
export function isToml(word: string): boolean {
  return /\.toml$/i.test(word) && !word.includes("://");
}

/** What the words say together that they may not. */
function findProblem({ command, positionals, options }: CommandLine, first: string | undefined): ConfigProblem | undefined {
  if (command === "run" && first !== undefined && !options.has("help")) {
    if (NO_COMMANDS.has(first)) {
      return usage("command line", `unknown command "${first}"`, `leave it out: "sluice ${COMMANDS.run.usage}" is the proxy; for a broker of that name write mqtt://${first}`);
    }
    const file = positionals.find(isToml);
    if (file !== undefined) return usage("command line", `cannot use "${printable(file)}" as a broker: it has the name of a configuration`, `did you mean "sluice --config ${printable(file)}"?${file.includes("/") ? "" : ` for a broker of that name write mqtt://${printable(file)}`}`);
    const near = /^[a-z]+\d?$/i.test(first) ? suggest(first, Object.keys(COMMANDS)) : undefined;
    // What goes on longer behind a command's name ("demobroker") is rather a host.
    const isHost = near === undefined || near === first || (first.startsWith(near) && first.length > near.length + 1);
    if (!isHost) return usage("command line", `unknown command "${first}"`, `did you mean "sluice ${near}"? for a broker of that name write mqtt://${first}`);
  }
  for (const [name, { spelling }] of options) {
    const spec: OptionSpec = OPTIONS.find((option) => option.name === name)!;
    if (!spec.commands.includes(command)) {
      return usage(spelling, `not an option of ${commandText(command)}`, `it belongs to ${spec.commands.map(commandText).join(" and ")}`);
    }
  }
  const extra = positionals[COMMANDS[command].positionalsMax];
  return extra === undefined || options.has("help") ? undefined : usage("command line", `cannot use ${JSON.stringify(printable(extra))}: expected "sluice ${COMMANDS[command].usage}"`);
}

function commandText(command: CommandName): string {
  return command === "run" ? '"sluice"' : `"sluice ${command}"`;
}

function unknownOption(spelling: string, command: CommandName): ConfigProblem {
  const candidates = specs.filter((option) => option.commands.includes(command)).map((option) => option.name);
  const near = suggest(spelling.replace(/^-+/, ""), candidates);
  return usage("command line", `unknown option ${JSON.stringify(printable(spelling))}`, near !== undefined && spelling.length > 2 ? `did you mean --${near}?` : `"sluice --help" lists them`);
}

export function usage(place: string, reason: string, suggestion?: string): ConfigProblem {
  return { place, path: undefined, reason, suggestion, exit: 64 };
}
