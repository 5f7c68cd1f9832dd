import { LruMap } from "../../lib/lru_map.ts";
import { createCredentialsKey } from "./credentials_key.ts";
import { matchesPassword } from "./hash_password.ts";
import type { PasswordUsers } from "./password_file.ts";
import type { PasswordHash } from "./password_hash.ts";
import { NEXT, refused, type Authenticator, type Refused, type Verdict } from "./types.ts";
import { WorkQueue } from "./work_queue.ts";

/** Two keep two cores busy, and leave half of the thread pool to those who look up names. */
const RUNNING_MAX = 2;
/** More would wait longer than a client does. */
const WAITING_MAX = 1_000;

export interface PasswordAuthenticatorOptions {
  readonly users: PasswordUsers;
  /** How long a password that was right is taken for right without hashing it again; 0: always hash. */
  readonly cacheMs: number;
  /** How many of them are remembered, 200 bytes each. */
  readonly cacheEntriesMax: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

const ALLOWED: Verdict = { kind: "allowed" };

/**
 * Knows the users of one password file. Whom it does not know it leaves to the next; that costs as much time as a wrong password, so
 * that nobody learns who stands in the file. A file that changed gets an authenticator of its own, and with it an empty cache.
 */
export function createPasswordAuthenticator({ users, cacheMs, cacheEntriesMax, now }: PasswordAuthenticatorOptions): Authenticator {
  const queue = new WorkQueue({ runningMax: RUNNING_MAX, waitingMax: WAITING_MAX });
  const keyOf = createCredentialsKey();
  const rightUntil = new LruMap<string, number>(cacheEntriesMax);
  const decoys = [...users.values()];

  function decide(isRight: boolean, known: boolean, key: string): Verdict {
    if (!known) return NEXT;
    if (!isRight) return wrong("wrong password");
    if (cacheMs > 0) rightUntil.set(key, now() + cacheMs);
    return ALLOWED;
  }

  return {
    name: "password_file",
    check({ username, password }) {
      if (username === undefined) return NEXT;
      const known = users.get(username);
      // An empty password is none, whatever the file says (CVE-2016-9877).
      if (password === undefined || password.length === 0) return known ? wrong("no password") : NEXT;
      const key = keyOf(username, password);
      if (known && (rightUntil.get(key) ?? -Infinity) > now()) return ALLOWED;
      const decoy = decoyFor(keyOf(username), decoys);
      const hash = known ?? decoy;
      if (hash === undefined) return NEXT;
      const checked = queue.run(() => matchesPassword(password, hash));
      if (checked === undefined) return refused("auth_unavailable", "too many passwords wait for their check");
      return checked.then((isRight) => decide(isRight, known !== undefined, key), () => refused("auth_unavailable", "the password cannot be hashed"));
    },
  };
}

function wrong(detail: string): Refused {
  return refused("bad_credentials", detail);
}

/**
 * Somebody else's hash for a user who does not exist, always the same one for the same name: where the file has several schemes,
 * strangers take as long as members do, some more and some less. undefined: the file has no users to be found out.
 */
function decoyFor(key: string, decoys: readonly PasswordHash[]): PasswordHash | undefined {
  return decoys[Buffer.from(key, "base64").readUInt32BE(0) % decoys.length];
}
