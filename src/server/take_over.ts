import { fault } from "../mqtt/fault.ts";
import type { Session } from "../session/session.ts";
import { idAtBrokers } from "./session_keys.ts";

/**
 * Who is open under which client id, over all brokers of one pool: of those on different brokers the newest stays, as within one broker
 * ([MQTT-3.1.4-3]). The older one's broker sees a connection that ends without DISCONNECT and publishes its will, as it would for a take-over
 * of its own.
 */
export class TakeOver {
  /** A set only while there are several: one is leaving, or a broker has not yet closed it. */
  readonly #open = new Map<string, Session | Set<Session>>();

  /** Client ids that are open. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * CONNACK with success was passed on. Not before: whom no broker accepts must not be able to throw others out. The newest is the one whose
   * CONNECT came last, which a slow broker may have answered first. False: it is another one, and this one leaves.
   */
  opened(session: Session): boolean {
    const id = idAtBrokers(session);
    if (id === "") return true;
    const there = this.#open.get(id);
    if (there === undefined) {
      this.#open.set(id, session);
      return true;
    }
    const all = there instanceof Set ? there : new Set([there]);
    this.#open.set(id, all.add(session));
    // An id that its broker has made up is that broker's: another one may have made up the same for somebody else.
    if (isAssigned(session)) return true;
    // A broker that has both of them sees to it itself, and what it says reaches the older one.
    const elsewhere = [...all].filter(({ chosen }) => chosen !== session.chosen);
    const newer = elsewhere.find(({ connectNumber }) => connectNumber > session.connectNumber);
    if (newer === undefined) for (const older of elsewhere) leave(older, session);
    else queueMicrotask(() => leave(session, newer)); // when its opening is over
    return newer === undefined;
  }

  finished(session: Session): void {
    const id = idAtBrokers(session);
    const there = this.#open.get(id);
    if (there === session) this.#open.delete(id);
    if (!(there instanceof Set)) return;
    there.delete(session);
    const [only] = there;
    if (there.size === 1) this.#open.set(id, only as Session);
  }
}

function leave(older: Session, newer: Session): void {
  older.step({ type: "leave", fault: fault("session_taken_over", `the client came again, to ${newer.chosen?.name}`) });
}

function isAssigned({ connect, idAtBrokers: rewritten }: Session): boolean {
  return connect?.clientId === "" && rewritten === undefined;
}
