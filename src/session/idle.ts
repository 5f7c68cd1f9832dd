import { type Fault, fault } from "../mqtt/fault.ts";

/** After so many milliseconds the kernel probes the peers of a session without keep-alive: nothing in MQTT would ever notice that one vanished. */
export const PROBE_AFTER_MS = 60_000;

/** What is known of a running session's silences, in milliseconds on the wheel's clock. */
export interface Silences {
  readonly startedAt: number;
  /** When the client was last heard. */
  readonly heardAt: number;
  /** One and a half times the effective keep-alive; 0: no limit. */
  readonly idleMs: number;
  /** Since when a side has taken nothing of what waits for it; 0: it keeps up. */
  readonly clientStalledAt: number;
  readonly brokerStalledAt: number;
}

/** Why a running session ends now, if it does. While the broker stalls the client is not read, so it cannot be heard. */
export function judgeSilences(silences: Silences, stallTimeoutMs: number, now: number): Fault | undefined {
  const { heardAt, idleMs, clientStalledAt, brokerStalledAt } = silences;
  const seconds = Math.round(stallTimeoutMs / 1000);
  if (clientStalledAt !== 0 && now - clientStalledAt >= stallTimeoutMs) return fault("client_stalled", `the client took nothing for ${seconds} s`);
  if (brokerStalledAt !== 0 && now - brokerStalledAt >= stallTimeoutMs) return fault("broker_stalled", `the broker took nothing for ${seconds} s`);
  if (idleMs === 0 || brokerStalledAt !== 0 || now - heardAt < idleMs) return undefined;
  return fault("keep_alive_timeout", `nothing heard for ${Math.round((now - heardAt) / 1000)} s, one and a half times the keep-alive`);
}

/** When to look again: the earliest moment at which one of them could end the session; Infinity: never. */
export function nextLook(silences: Silences, stallTimeoutMs: number, now: number): number {
  const { startedAt, heardAt, idleMs, clientStalledAt, brokerStalledAt } = silences;
  let due = Infinity;
  if (idleMs !== 0) due = (brokerStalledAt === 0 ? heardAt : now) + idleMs;
  else if (now - startedAt < PROBE_AFTER_MS) due = startedAt + PROBE_AFTER_MS;
  if (clientStalledAt !== 0) due = Math.min(due, clientStalledAt + stallTimeoutMs);
  if (brokerStalledAt !== 0) due = Math.min(due, brokerStalledAt + stallTimeoutMs);
  return due;
}
