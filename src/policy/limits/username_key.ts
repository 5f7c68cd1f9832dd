import { createHash } from "node:crypto";

/** Names up to this long are their own keys; a name may have 65,535 bytes, and lives in the table as long as its session. */
const LENGTH_MAX = 64;

/** What a user is counted under. U+0000 stands in no user name ([MQTT-1.5.4-2]), so no short name can be another one's digest. */
export function usernameKey(username: string): string {
  return username.length <= LENGTH_MAX ? username : `\0${createHash("sha256").update(username).digest("base64")}`;
}
