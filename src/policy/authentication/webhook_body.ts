import { isUsername } from "./username.ts";
import { NEXT, refused, type Identity, type Verdict } from "./types.ts";
import type { HttpAnswer } from "./http_exchange.ts";

/**
 * What the service is told, as JSON: `client_id`, `username`, `password` or, when that is no UTF-8, `password_base64`, `address`,
 * `listener` and `certificate`; what the client does not have is null. Nothing of it stands anywhere else in the request.
 */
export function webhookBody({ clientId, username, password, address, listener, certificate }: Identity): string {
  return JSON.stringify({
    client_id: clientId,
    username: username ?? null,
    ...passwordFields(password),
    address,
    listener,
    certificate: certificate === undefined ? null : { common_name: certificate.commonName ?? null, ...certificate.names, fingerprint: certificate.fingerprint ?? null },
  });
}

function passwordFields(password: Uint8Array | undefined): { password: string | null } | { password_base64: string } {
  if (password === undefined) return { password: null };
  try {
    return { password: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(password) };
  } catch {
    return { password_base64: Buffer.from(password.buffer, password.byteOffset, password.length).toString("base64") };
  }
}

/** What the answer means; undefined: nothing that was agreed on, and so the same as no answer. */
export function webhookVerdict({ status, body }: HttpAnswer): Verdict | undefined {
  if (status === 204) return { kind: "allowed" };
  if (status === 401) return refused("bad_credentials", "the service says 401");
  if (status === 403) return refused("not_authorized", "the service says 403");
  return status === 200 ? readResult(body) : undefined;
}

function readResult(body: Uint8Array): Verdict | undefined {
  const answer = parseObject(body);
  // Own keys alone: an answer of {} has no "result", whatever somebody did to Object's prototype.
  const result = answer !== undefined && Object.hasOwn(answer, "result") ? answer["result"] : undefined;
  if (result === "ignore") return NEXT;
  if (result === "deny") return refused("not_authorized", "the service says deny");
  if (result !== "allow" || answer === undefined) return undefined;
  const username = Object.hasOwn(answer, "username") ? answer["username"] : undefined;
  if (username === undefined || username === null) return { kind: "allowed" };
  return isUsername(username) ? { kind: "allowed", username } : undefined;
}

function parseObject(body: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
