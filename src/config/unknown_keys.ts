import type * as v from "valibot";
import { suggest } from "../lib/suggest.ts";
import type { KeyPath } from "./problem.ts";

export interface UnknownKey {
  readonly path: KeyPath;
  readonly suggestion: string | undefined;
  /** The key is known, and what stands there is a list where a table belongs. */
  readonly isList?: true;
}

/** Any schema of the tree, as far as this walk looks into it. */
interface Node {
  readonly type: string;
  readonly entries?: Record<string, Node>;
  readonly wrapped?: Node;
  readonly item?: Node;
  readonly value?: Node;
  readonly options?: readonly Node[];
}

/** Every key that the schema does not know: valibot stops at the first of each table, and takes a list for a table without keys. */
export function unknownKeys(schema: v.GenericSchema, value: unknown): UnknownKey[] {
  return walk(schema as unknown as Node, value, []);
}

/** Valibot leaves these out of what it has checked, without a word: a condition would silently be gone. */
const DROPPED: ReadonlySet<string> = new Set(["__proto__", "prototype", "constructor"]);

function walk(node: Node, value: unknown, path: KeyPath): UnknownKey[] {
  if (node.wrapped) return walk(node.wrapped, value, path);
  if (typeof value !== "object" || value === null) return [];
  if (node.options) {
    const table = node.options.find((option) => option.entries);
    return table ? walk(table, value, path) : [];
  }
  if (node.type === "array") {
    return Array.isArray(value) ? value.flatMap((item, index) => walk(node.item!, item, [...path, index])) : [];
  }
  if (Array.isArray(value)) return node.entries || node.type === "record" ? [{ path, suggestion: undefined, isList: true }] : [];
  return Object.entries(value).flatMap(([key, inner]) => {
    if (node.type === "record") return DROPPED.has(key) ? [{ path: [...path, key], suggestion: undefined }] : walk(node.value!, inner, [...path, key]);
    if (!node.entries) return [];
    const known = Object.hasOwn(node.entries, key) ? node.entries[key] : undefined;
    return known ? walk(known, inner, [...path, key]) : [{ path: [...path, key], suggestion: suggest(key, Object.keys(node.entries)) }];
  });
}
