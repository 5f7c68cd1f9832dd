import { judgeSilences, nextLook, PROBE_AFTER_MS } from "./idle.ts";
import type { Session } from "./session.ts";

const NOTHING = new Uint8Array(0);

/** A running session's deadline has come: whether it ends, or when to look again. */
export function lookAtSilences(session: Session): void {
  noteProgress(session);
  const { wheel, limits } = session.context;
  const why = judgeSilences(session, limits.stallTimeoutMs, wheel.now);
  if (why !== undefined) return session.step({ type: "violated", fault: why });
  if (session.idleMs === 0 && wheel.now - session.startedAt >= PROBE_AFTER_MS) {
    session.client.setKeepAlive(PROBE_AFTER_MS);
    session.broker?.setKeepAlive(PROBE_AFTER_MS);
  }
  armIdle(session);
}

/** A side that took some of what waits for it is slow, not stalled. */
function noteProgress(session: Session): void {
  const { client, broker, context: { wheel } } = session;
  if (session.clientStalledAt !== 0) client.write(NOTHING);
  if (session.brokerStalledAt !== 0) broker?.write(NOTHING);
  const clientWaiting = client.bufferedBytes;
  if (session.clientStalledAt !== 0 && clientWaiting < session.clientWaiting) session.clientStalledAt = wheel.now;
  session.clientWaiting = clientWaiting;
  const brokerWaiting = broker?.bufferedBytes ?? 0;
  if (session.brokerStalledAt !== 0 && brokerWaiting < session.brokerWaiting) session.brokerStalledAt = wheel.now;
  session.brokerWaiting = brokerWaiting;
}

/** One timer for the earliest of what may end a running session; it is looked at when it fires, not moved for each chunk. */
export function armIdle(session: Session): void {
  const { wheel, limits } = session.context;
  const due = nextLook(session, limits.stallTimeoutMs, wheel.now);
  if (due === Infinity) wheel.clear(session);
  else wheel.set(session, Math.max(0, due - wheel.now));
}
