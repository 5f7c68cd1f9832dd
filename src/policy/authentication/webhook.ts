import { LruMap } from "../../lib/lru_map.ts";
import { createCredentialsKey } from "./credentials_key.ts";
import { askHttp } from "./http_exchange.ts";
import { refused, type Allowed, type Authenticator, type Next, type Verdict } from "./types.ts";
import { webhookBody, webhookVerdict } from "./webhook_body.ts";
import { WorkQueue } from "./work_queue.ts";

/** A verdict and a name are short. */
const ANSWER_BYTES_MAX = 65_536;

export interface WebhookOptions {
  /** As `parseServiceUrl` gives it. */
  readonly url: URL;
  /** As they were configured and `headersProblem` finds nothing wrong with; what comes from clients is never in a header. */
  readonly headers: Readonly<Record<string, string>>;
  /** From the CONNECT to the verdict, waiting for a turn included. */
  readonly timeoutMs: number;
  /** How many requests are under way at a time, and how many more wait. */
  readonly requestsMax: number;
  readonly waitingMax: number;
  /** How long a client that was let in, or left to the next authenticator, is not asked about again; 0: it always is. */
  readonly cacheMs: number;
  /** For how long after the answer it still counts while the service cannot be asked; at least `cacheMs`. */
  readonly staleMs: number;
  readonly cacheEntriesMax: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

interface Remembered {
  readonly verdict: Allowed | Next;
  readonly at: number;
}

/** Why headers cannot be sent; undefined: they can. Names and values are not repeated: there are secrets among them. */
export function headersProblem(headers: Readonly<Record<string, string>>): string | undefined {
  for (const [index, [name, value]] of Object.entries(headers).entries()) {
    try {
      new Headers([[name, value]]);
    } catch {
      return `header ${index + 1} is none: expected a name of letters, digits and dashes, and a value of one line`;
    }
  }
  return undefined;
}

/** Asks a service over HTTP. Whatever is no clear answer keeps the client out, or counts as the last clear one for a while. */
export function createWebhookAuthenticator(options: WebhookOptions): Authenticator {
  const { url, cacheMs, staleMs, timeoutMs, now } = options;
  const headers = new Headers({ accept: "application/json", ...options.headers });
  headers.set("content-type", "application/json");
  const queue = new WorkQueue({ runningMax: options.requestsMax, waitingMax: options.waitingMax });
  const keyOf = createCredentialsKey();
  const remembered = new LruMap<string, Remembered>(options.cacheEntriesMax);

  async function ask(key: string, body: string, deadline: number): Promise<Verdict> {
    const left = deadline - now();
    if (left <= 0) return unavailable(key, "no answer in time");
    const answer = await askHttp({ url, method: "POST", headers, body, timeoutMs: left, bytesMax: ANSWER_BYTES_MAX });
    if ("failure" in answer) return unavailable(key, answer.failure);
    const verdict = webhookVerdict(answer);
    if (verdict === undefined) return unavailable(key, `its answer, with status ${answer.status}, says neither allow nor deny nor ignore`);
    if (verdict.kind === "refused") remembered.delete(key);
    else if (staleMs > 0) remembered.set(key, { verdict, at: now() });
    return verdict;
  }

  function unavailable(key: string, reason: string): Verdict {
    const last = remembered.get(key);
    return last !== undefined && now() - last.at < staleMs ? last.verdict : refused("auth_unavailable", `the service: ${reason}`);
  }

  return {
    name: "webhook",
    check(identity) {
      const body = webhookBody(identity);
      // All that the service is told may decide, so all of it is the key.
      const key = keyOf(body);
      const last = remembered.get(key);
      if (last !== undefined && now() - last.at < cacheMs) return last.verdict;
      const deadline = now() + timeoutMs;
      return queue.run(() => ask(key, body, deadline)) ?? unavailable(key, "too many requests wait for it");
    },
  };
}
