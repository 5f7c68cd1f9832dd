import { serviceOfCheck } from "../config/material.ts";
import type { AuthenticationConfig } from "../config/types.ts";
import { askHttp } from "../policy/authentication/http_exchange.ts";

/**
 * The services that checks ask and that do not answer, a line for each. The same request as theirs goes out, so that names, TLS and forward
 * proxies count, with nothing in it; whatever status comes back is an answer.
 */
export async function silentServices({ checks }: AuthenticationConfig): Promise<string[]> {
  const lines = await Promise.all(checks.map(async (check, index) => {
    const service = serviceOfCheck(check);
    if (service === undefined) return [];
    const url = new URL(service.url);
    const answer = await askHttp({ url, method: "HEAD", headers: new Headers(), timeoutMs: service.timeoutMs, bytesMax: 0 });
    return "failure" in answer ? [`${url.host}, which authentication.checks[${index}] asks, does not answer: ${answer.failure}`] : [];
  }));
  return lines.flat();
}
