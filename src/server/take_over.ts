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

  /** CONNACK with success was passed on. Not before: whom no broker accepts must not be able to throw others out. */
  opened(session: Session): void {
    const id = idAtBrokers(session);
    if (id === "") return;
    const there = this.#open.get(id);
    if (there === undefined) return void this.#open.set(id, session);
    const all = there instanceof Set ? there : new Set([there]);
    this.#open.set(id, all.add(session));
    const { chosen } = session;
    for (const older of all) {
      // A broker that has both of them sees to it itself, and what it says reaches the older one.
      if (older.chosen === chosen) continue;
      older.step({ type: "leave", fault: fault("session_taken_over", `the client came again, to ${chosen?.name}`) });
    }
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
