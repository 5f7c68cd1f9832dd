import { fault } from "../mqtt/fault.ts";
import type { Session } from "../session/session.ts";
import { idAtBrokers } from "./session_keys.ts";

/**
 * Who is open under which client id, over all brokers of one pool: of two at once the newest stays, as within one broker ([MQTT-3.1.4-3]).
 * The older one's broker sees a connection that ends without DISCONNECT and publishes its will, as it would for a take-over of its own.
 */
export class TakeOver {
  readonly #open = new Map<string, Session>();

  /** CONNACK with success was passed on. Not before: whom no broker accepts must not be able to throw others out. */
  opened(session: Session): void {
    const { chosen } = session;
    const id = idAtBrokers(session);
    if (id === "") return;
    const older = this.#open.get(id);
    this.#open.set(id, session);
    // A broker that has both of them sees to it itself, and what it says reaches the older one.
    if (older === undefined || older.chosen === chosen) return;
    older.step({ type: "leave", fault: fault("session_taken_over", `the client came again, to ${chosen?.name}`) });
  }

  finished(session: Session): void {
    const id = idAtBrokers(session);
    if (this.#open.get(id) === session) this.#open.delete(id);
  }
}
