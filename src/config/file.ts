import { resolve } from "node:path";
import { parse, TomlError } from "smol-toml";
import type { FileError, System } from "../runtime/types.ts";
import type { ConfigProblem } from "./problem.ts";

/** A TOML file as it was read; `place` names it in messages as the user typed it. */
export interface TomlFile {
  readonly place: string;
  readonly text: string;
  readonly document: Record<string, unknown>;
}

export type Files = Pick<System, "readFile">;

export async function readToml(files: Files, path: string): Promise<TomlFile | ConfigProblem> {
  const bytes = await files.readFile(path);
  if (!(bytes instanceof Uint8Array)) {
    return { place: path, path: undefined, reason: `cannot read the configuration: ${fileErrorWords(bytes)}`, suggestion: undefined, exit: 66 };
  }
  const refuse = (place: string, reason: string, suggestion?: string): ConfigProblem => ({ place, path: undefined, reason, suggestion, exit: 78 });
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return refuse(path, "cannot read the configuration as text: expected UTF-8");
  }
  try {
    return { place: path, text, document: parse(text) };
  } catch (error) {
    if (!(error instanceof TomlError)) return refuse(path, "cannot read the configuration as TOML");
    // Only the first line of the message: the rest quotes the file, and with it perhaps a password.
    const words = error.message.split("\n", 1)[0]!.replace("Invalid TOML document: ", "");
    const suggestion = isBareText(words, text.split("\n")[error.line - 1] ?? "") ? 'text needs quotes, as in key = "value"' : undefined;
    return refuse(`${path}:${error.line}:${error.column}`, `cannot read the configuration as TOML: ${words}`, suggestion);
  }
}

/** Whether the parser fell over a value without quotes: its own words speak of numbers and of ends of lines ("inf" is one of TOML's numbers). */
function isBareText(words: string, line: string): boolean {
  return /invalid value|end-of-line|numeric literal/.test(words) && /^[^"'#]*[=[,{]\s*[^\s"'[\]{}#]/.test(line);
}

/** Why a file could not be read, in words that follow a colon. */
export function fileErrorWords(error: FileError): string {
  if (error.code === "missing") return "no such file";
  if (error.code === "denied") return "permission denied";
  return error.code === "not_a_file" ? "not a file" : error.message;
}

const FILE_KEYS: ReadonlySet<string> = new Set(["cert", "key", "ca", "crl", "password_file", "file", "keys_file"]);

/** A copy of the document in which every file is an absolute path: a relative one is meant from `folder`. */
export function anchorFiles<T>(value: T, folder: string): T {
  if (Array.isArray(value)) return value.map((item) => anchorFiles(item, folder)) as T;
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (key === "headers") return [key, inner]; // names of a protocol, whatever they are
      const isFile = FILE_KEYS.has(key) && typeof inner === "string" && inner !== "";
      return [key, isFile ? resolve(folder, inner) : anchorFiles(inner, folder)];
    }),
  ) as T;
}
