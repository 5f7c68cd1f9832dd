import * as v from "valibot";
import { checkMeaning } from "./meaning.ts";
import { pathText, quote, type ConfigProblem, type Finding, type KeyPath } from "./problem.ts";
import { configurationSchema, type ConfigInput } from "./schema.ts";
import { suggest } from "../lib/suggest.ts";
import type { Configuration } from "./types.ts";
import { unknownKeys, type UnknownKey } from "./unknown_keys.ts";
import { DURATION_EXPECTED, nearestForm, SIZE_EXPECTED } from "./units.ts";

export type Resolved =
  | { readonly configuration: Configuration; readonly problems?: undefined }
  | { readonly configuration?: undefined; readonly problems: readonly [ConfigProblem, ...ConfigProblem[]] };

/** Checks an object of the TOML file's shape and fills in every default. Reads no files: `readMaterial` does, next. */
export function resolveConfiguration(input: ConfigInput): Resolved {
  return resolveDocument(input);
}

/** The same for something of which nothing is known yet. */
export function resolveDocument(document: unknown): Resolved {
  const parsed = v.safeParse(configurationSchema, document);
  const unknown = unknownKeys(configurationSchema, document);
  const found: Finding[] = [...unknown.map(unknownKeyFinding)];
  for (const issue of parsed.issues ?? []) found.push(...issueFindings(issue, [], unknown).filter(({ path }) => !isInside(path, unknown)));
  if (found.length === 0 && parsed.success) {
    const meaning = checkMeaning(parsed.output);
    if (meaning.configuration) return { configuration: meaning.configuration };
    found.push(...meaning.findings);
  }
  const [first, ...others] = found.map((finding): ConfigProblem => ({ suggestion: undefined, ...finding, place: "configuration", exit: 78 }));
  if (first === undefined) throw new Error("a document was refused without a reason");
  return { problems: [first, ...others] };
}

/** What is missing in a list that should have been a table needs no word of its own. */
function isInside(path: KeyPath, found: readonly UnknownKey[]): boolean {
  return found.some((each) => each.isList && each.path.every((part, index) => part === path[index]));
}

function unknownKeyFinding({ path, suggestion, isList }: UnknownKey): Finding {
  if (isList) {
    const key = pathText(path);
    if (path[0] === "pools" && path.length === 2 && path[1] === "brokers") return { path, reason: "pools.brokers belongs to a pool, and every pool has a name", suggestion: "write [pools.default] in place of [pools]" };
    return { path, reason: `cannot use a list as ${key || "a configuration"}: expected a table`, suggestion: key && !key.includes("[") ? `write [${key}], and not [[${key}]]` : undefined };
  }
  return {
    path,
    reason: `unknown key ${pathText(path)}`,
    suggestion: suggestion === undefined ? undefined : `did you mean ${JSON.stringify(suggestion)}?`,
  };
}

function issueFindings(issue: v.BaseIssue<unknown>, above: KeyPath, unknown: readonly UnknownKey[]): Finding[] {
  const path = [...above, ...(issue.path ?? []).map((item) => item.key as string | number)];
  // A broker may be text or a table: what is wrong with the one that was written is the answer.
  const inner = issue.type === "union" ? (issue.issues ?? []).filter((each) => each.kind === "transformation" || each.path || each.kind === "validation") : [];
  if (inner.length > 0 && !(typeof issue.input === "string" && inner[0]!.path)) {
    return inner.flatMap((each) => issueFindings(each, path, unknown));
  }
  if (issue.type === "strict_object" && issue.expected === "never") return []; // an unknown key: found by our own walk
  if (issue.type === "strict_object" && issue.received === "undefined" && issue.path) {
    const misspelt = unknown.some((key) => key.suggestion === path.at(-1) && pathText(key.path.slice(0, -1)) === pathText(path.slice(0, -1)));
    return misspelt ? [] : [{ path, reason: `${pathText(path)} is missing` }];
  }
  return [{
    path,
    reason: `cannot use ${quote(issue.input)} as ${path.length === 0 ? "a configuration" : pathText(path)}: expected ${issue.message}`,
    suggestion: suggestionFor(issue),
  }];
}

function suggestionFor(issue: v.BaseIssue<unknown>): string | undefined {
  if (issue.type === "picklist" && typeof issue.input === "string") {
    const names = Array.from((issue.expected ?? "").matchAll(/"([^"]+)"/g), (match) => match[1]!);
    const near = suggest(issue.input, names);
    return near === undefined || isOtherNumber(issue.input, near) ? undefined : `did you mean "${near}"?`;
  }
  if (issue.type === "array" && typeof issue.input === "string") return "put it in brackets, also where it is the only one: [...]";
  const near = typeof issue.input === "string" ? nearestForm(issue.input, issue.message) : undefined;
  if (near !== undefined) return `write "${near}"`;
  if (typeof issue.input !== "number") return undefined;
  if (issue.message === DURATION_EXPECTED) return `write "${issue.input}s" for seconds`;
  if (issue.message === SIZE_EXPECTED) return `write "${issue.input}B" for bytes`;
  return undefined;
}

/** "v3" is no misspelt "v1": who writes another number means it. */
function isOtherNumber(one: string, other: string): boolean {
  return one !== other && one.replace(/\d/g, "0") === other.replace(/\d/g, "0");
}
