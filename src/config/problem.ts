import { printable } from "../lib/text.ts";
import { redact } from "./address.ts";

/** The way to a value: `["pools", "default", "brokers", 0]`. */
export type KeyPath = readonly (string | number)[];

/** Something that keeps a configuration from being used. All that are found are reported; the first decides the exit code. */
export interface ConfigProblem {
  /** `file:line:column`, a flag, or the name of the object that was given. */
  readonly place: string;
  /** The value that the problem is about; undefined when it is none. */
  readonly path: KeyPath | undefined;
  readonly reason: string;
  readonly suggestion: string | undefined;
  /** 64: the command line; 66: a file that cannot be read; 78: the configuration. */
  readonly exit: 64 | 66 | 78;
}

/** A problem before it is known where the value came from. */
export interface Finding {
  readonly path: KeyPath;
  readonly reason: string;
  readonly suggestion?: string | undefined;
}

/** The path as one would type it. */
export function pathText(path: KeyPath): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    const name = /^[\w-]+$/.test(key) ? key : JSON.stringify(printable(key));
    return text === "" ? name : `${text}.${name}`;
  }, "");
}

/** The value in quotes for a message: one line, no secrets. */
export function quote(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(printable(redact(value)));
  if (Array.isArray(value)) return "a list";
  if (value instanceof Date) return "a date";
  return typeof value === "object" && value !== null ? "a table" : String(value);
}
