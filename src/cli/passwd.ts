import { quote, type ConfigProblem } from "../config/problem.ts";
import { printable } from "../lib/text.ts";
import { hashPassword, type NewScheme } from "../policy/authentication/hash_password.ts";
import { parsePasswordFile, usernameProblem, withoutUser, withUser } from "../policy/authentication/password_file.ts";
import { passwordHashText } from "../policy/authentication/password_hash.ts";
import { usage, type CommandLine } from "./arguments.ts";
import { EXIT } from "./exit_codes.ts";
import { readNewPassword } from "./new_password.ts";
import { COMMANDS } from "./options.ts";
import type { Context } from "./prepare.ts";
import { reportAll } from "./report.ts";

/** Ten times what mosquitto 2.1 does: 5 ms, which sluice spends in another thread, and mosquitto between its clients. */
const ITERATIONS = 10_000;
const ITERATIONS_MAX = 10_000_000;
/** Of a new file. One that is there keeps its own. */
const FILE_MODE = 0o600;

/** What the command line asks for. */
interface Task {
  readonly file: string;
  readonly username: string;
  readonly action: "create" | "delete" | "set";
  readonly scheme: NewScheme;
}

/** `sluice passwd <file> <user>`: answers with the exit code. */
export async function passwd(context: Context): Promise<number> {
  const task = readTask(context.line);
  if ("reason" in task) return reportAll(context.reporter, [task]);
  const text = await readFile(context, task);
  if (typeof text !== "string") return reportAll(context.reporter, [text]);
  const changed = task.action === "delete" ? withoutUser(text, task.username) : await withNewPassword(task, text);
  if (changed === undefined) return reportAll(context.reporter, [problem(task, `there is no user ${quote(task.username)}`)]);
  return typeof changed === "string" ? write(context, task, changed) : reportAll(context.reporter, [changed]);
}

function readTask({ positionals, options }: CommandLine): Task | ConfigProblem {
  const [file, username, password] = positionals;
  if (file === undefined || username === undefined) return usage("command line", `"sluice passwd" needs more: expected "sluice ${COMMANDS.passwd.usage}"`);
  if (password !== undefined) return usage("command line", "a password, if it is one, has no place here, where everybody on this machine can see it", `leave it out and type it when you are asked, or write it to standard input: ... | sluice passwd ${printable(file)} ${printable(username)}`);
  const wrong = usernameProblem(username);
  if (wrong !== undefined) return usage("command line", `cannot use ${quote(username)} as a user name: ${wrong}`);
  const scheme = readScheme(options);
  if ("reason" in scheme) return scheme;
  const deletion = options.get("delete");
  if (!deletion) return { file, username, scheme, action: options.has("create") ? "create" : "set" };
  for (const name of ["create", "hash", "iterations"] as const) {
    if (options.has(name)) return usage(deletion.spelling, `cannot be used together with --${name}`);
  }
  return { file, username, scheme, action: "delete" };
}

function readScheme(options: CommandLine["options"]): NewScheme | ConfigProblem {
  const hash = options.get("hash");
  const [name = "sha512-pbkdf2"] = hash?.values ?? [];
  const given = options.get("iterations");
  const [count = String(ITERATIONS)] = given?.values ?? [];
  if (name === "argon2id") return given ? usage(given.spelling, "argon2id has no iterations: leave it out") : { scheme: name };
  if (name !== "sha512-pbkdf2") return usage(hash?.spelling ?? "--hash", `cannot use ${quote(name)} as a hash: expected sha512-pbkdf2 or argon2id`);
  const iterations = /^\d{1,8}$/.test(count) ? Number(count) : 0;
  if (iterations >= 1 && iterations <= ITERATIONS_MAX) return { scheme: name, iterations };
  return usage(given?.spelling ?? "--iterations", `cannot use ${quote(count)} as a number of iterations: expected a whole number from 1 to ${ITERATIONS_MAX}`);
}

/** The file's text, once all of it can be read: what we do not understand we do not write again. */
async function readFile({ runtime }: Context, task: Task): Promise<string | ConfigProblem> {
  const bytes = await runtime.system.readFile(task.file);
  if (!(bytes instanceof Uint8Array)) {
    const missing = bytes.code === "missing";
    if (missing && task.action === "create") return "";
    return problem(task, `cannot read it: ${bytes.message}`, { exit: 66, suggestion: missing && task.action === "set" ? "--create begins a new one" : undefined });
  }
  if (task.action === "create") return problem(task, "it exists already", { exit: 64, suggestion: "leave out --create to change it" });
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return problem(task, "it is no password file: expected text in UTF-8");
  }
  const users = parsePasswordFile(text);
  return "reason" in users ? problem(task, users.reason, { exit: 78, suggestion: "nothing was changed" }) : text;
}

async function withNewPassword(task: Task, text: string): Promise<string | ConfigProblem> {
  const password = await readNewPassword();
  if (!(password instanceof Uint8Array)) return usage("standard input", password.reason);
  return withUser(text, task.username, passwordHashText(await hashPassword(password, task.scheme)));
}

async function write({ runtime, reporter }: Context, task: Task, text: string): Promise<number> {
  const machine = await runtime.system.machine();
  const mode = await machine.fileMode(task.file);
  const error = await machine.writeFile(task.file, text, { mode: typeof mode === "number" ? mode : FILE_MODE, replace: task.action !== "create" });
  if (error) {
    reporter.problem({ place: printable(task.file), reason: `cannot write it: ${error.message}`, suggestion: undefined });
    return EXIT.system;
  }
  reporter.line(`${task.action === "delete" ? "removed" : "set the password of"} ${quote(task.username)} in ${printable(task.file)}`);
  return EXIT.ok;
}

function problem({ file }: Task, reason: string, { exit, suggestion }: { exit: ConfigProblem["exit"]; suggestion?: string | undefined } = { exit: 78 }): ConfigProblem {
  return { place: printable(file), path: undefined, reason, suggestion, exit };
}
