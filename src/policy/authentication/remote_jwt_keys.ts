import { askHttp } from "./http_exchange.ts";
import { readKeySet, type JwtKey, type JwtKeys } from "./jwt_keys.ts";

const ANSWER_BYTES_MAX = 1_048_576;
const HEADERS = new Headers({ accept: "application/jwk-set+json, application/json" });

export interface RemoteJwtKeysOptions {
  /** As `parseServiceUrl` gives it. */
  readonly url: URL;
  readonly timeoutMs: number;
  /** How old keys may be before new ones are fetched. Nobody waits for that. */
  readonly refreshMs: number;
  /** How old they may be while new ones cannot be had. After that nobody can be checked. */
  readonly staleMs: number;
  /** The shortest time between two requests, however many tokens name keys that nobody knows. */
  readonly pauseMs: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** The keys that a service publishes (RFC 7517), fetched when the first token comes, again when they are old, and when a token names an unknown one. */
export function createRemoteJwtKeys(options: RemoteJwtKeysOptions): JwtKeys {
  const { now, refreshMs, staleMs, pauseMs } = options;
  let held: { readonly keys: JwtKeys; readonly at: number } | undefined;
  let failure = "";
  let askedAt = -Infinity;
  let asking: Promise<void> | undefined;

  /** One request at a time, shared by all who wait for it. undefined: it is too early for another. */
  function refresh(): Promise<void> | undefined {
    if (asking === undefined && now() - askedAt >= pauseMs) {
      askedAt = now();
      asking = fetchKeys(options).then((fetched) => {
        asking = undefined;
        if ("failure" in fetched) failure = fetched.failure;
        else held = { keys: fetched, at: now() };
      });
    }
    return asking;
  }

  const usable = (): JwtKeys | undefined => (held !== undefined && now() - held.at < staleMs ? held.keys : undefined);

  return {
    kind: "public",
    async find(header): Promise<JwtKey> {
      const early = usable();
      if (early === undefined) await refresh();
      else if (held !== undefined && now() - held.at >= refreshMs) void refresh();
      const keys = early ?? usable();
      if (keys === undefined) return { unavailable: `the keys: ${failure || "they are asked for too often"}` };
      const found = await keys.find(header);
      if ("key" in found || early === undefined) return found;
      // The service may have begun to sign with a key that is newer than what we have.
      await refresh();
      return (usable() ?? keys).find(header);
    },
  };
}

async function fetchKeys({ url, timeoutMs }: RemoteJwtKeysOptions): Promise<JwtKeys | { readonly failure: string }> {
  const answer = await askHttp({ url, method: "GET", headers: HEADERS, timeoutMs, bytesMax: ANSWER_BYTES_MAX });
  if ("failure" in answer) return answer;
  if (answer.status !== 200) return { failure: `the service says ${answer.status}` };
  const keys = readKeySet(new TextDecoder().decode(answer.body));
  return "expected" in keys ? { failure: `the service's answer is no key set: expected ${keys.expected}` } : keys;
}
