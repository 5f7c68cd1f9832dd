import { parsePasswordHash, type PasswordHash } from "./password_hash.ts";
import { isUsername } from "./username.ts";

/** By user name. A Map, because user names are text of strangers: "__proto__" is one like any other. */
export type PasswordUsers = ReadonlyMap<string, PasswordHash>;

/** Why a file cannot be used: the reason has the line in it, and no secret. */
export interface PasswordFileFault {
  readonly line: number;
  readonly reason: string;
}

interface Entry {
  readonly line: number;
  readonly hash: PasswordHash;
}

/**
 * Reads mosquitto's password file: `user:hash` on each line; a line that begins with `#`, and one of blanks alone, says nothing. A line
 * that is anything else makes the whole file unusable: taken for a user without a password it would open the door (CVE-2018-12551).
 */
export function parsePasswordFile(text: string): PasswordUsers | PasswordFileFault {
  const entries = new Map<string, Entry>();
  for (const [index, whole] of text.split("\n").entries()) {
    const line = index + 1;
    const content = whole.trimEnd();
    if (content === "" || content.startsWith("#")) continue;
    const colon = content.indexOf(":");
    if (colon < 0) return fault(line, "there is no colon: expected user:hash");
    const username = content.slice(0, colon);
    const problem = usernameProblem(username);
    if (problem !== undefined) return fault(line, problem);
    const hash = parsePasswordHash(content.slice(colon + 1));
    if ("expected" in hash) return fault(line, `the password cannot be read: expected ${hash.expected}`);
    const before = entries.get(username);
    if (before) return fault(line, `the user stands in line ${before.line} already`);
    entries.set(username, { line, hash });
  }
  return new Map(Array.from(entries, ([username, { hash }]) => [username, hash]));
}

/** Why a user of this name cannot stand in a password file; undefined: one can. */
export function usernameProblem(username: string): string | undefined {
  if (username === "") return "the user name is empty";
  if (username !== username.trim()) return "there are blanks around the user name"; // mosquitto cuts them off
  if (username.startsWith("#")) return "the user name begins with #, as a comment does";
  if (username.includes(":")) return "there is a colon in the user name";
  return isUsername(username) ? undefined : "the user name has control characters in it, or is longer than MQTT can carry";
}

function fault(line: number, reason: string): PasswordFileFault {
  return { line, reason: `line ${line}: ${reason}` };
}

/** The text of a file that could be read, with this line for the user: in the place of the old one, or at the end. All else stays as it is. */
export function withUser(text: string, username: string, hash: string): string {
  const lines = text.split("\n");
  const index = lines.findIndex((line) => line.startsWith(`${username}:`));
  if (index >= 0) return lines.with(index, `${username}:${hash}`).join("\n");
  const separator = text === "" || text.endsWith("\n") ? "" : "\n";
  return `${text}${separator}${username}:${hash}\n`;
}

/** The text without the user's line; undefined: there is none. */
export function withoutUser(text: string, username: string): string | undefined {
  const lines = text.split("\n");
  const index = lines.findIndex((line) => line.startsWith(`${username}:`));
  return index < 0 ? undefined : lines.toSpliced(index, 1).join("\n");
}
