import { stringify } from "smol-toml";
import { DEFAULT_LISTENERS } from "./schema.ts";

/** The document as TOML: run with it, the same things happen. Passwords in URLs stay, for without them it would not be equal. */
export function printToml(document: Record<string, unknown>): string {
  const { log, limits, listeners = DEFAULT_LISTENERS, authentication, routes, pools } = document;
  const sections = Object.entries({ log, limits, listeners, authentication, routes, pools }).filter(([, section]) => section !== undefined);
  return stringify(Object.fromEntries(sections)).trimEnd();
}
