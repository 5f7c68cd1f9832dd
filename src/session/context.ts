import type { Limits } from "../config/types.ts";
import type { TimerWheel } from "../lib/timer_wheel.ts";
import type { Connack } from "../mqtt/connack.ts";
import type { Fault } from "../mqtt/fault.ts";
import type { Broker } from "../pool/broker.ts";
import type { Pool } from "../pool/pool.ts";
import type { Dial, DialHandler } from "../runtime/types.ts";
import type { Outbox } from "./outbox.ts";
import type { Session } from "./session.ts";

/** What a listener's sessions share: everything that they need of the world around them. */
export interface SessionContext {
  readonly limits: Limits;
  readonly wheel: TimerWheel;
  /** Takes what sessions do to the network and others would be woken by. */
  readonly outbox: Outbox;
  /** Monotonic milliseconds, exact where the wheel's clock is coarse. */
  now(): number;
  readonly listenerName: string;
  /** Where the listener's clients go. */
  readonly pool: Pool;
  /** The brokers to try, best first, of the pool that is set in the session; or why this client is turned away. */
  choose(session: Session): readonly Broker[] | Fault | Promise<readonly Broker[] | Fault>;
  /** A broker's turn has come: it counts this client, or answers why it does not take it now. Absent: each takes as many as come. */
  claim?(broker: Broker, session: Session): Fault | undefined;
  dial(broker: Broker, session: Session, handler: DialHandler): Dial;
  /** `suspectedBy`: a session that may be the cause itself; absent: the broker is at fault. */
  brokerFailed(broker: Broker, fault: Fault, suspectedBy: Session | undefined): void;
  brokerAnswered(broker: Broker): void;
  /** undefined: what brokers say of other servers is for the clients. */
  readonly redirects?: {
    /** A refusal: true when the session is sent on, or will be. */
    refused(session: Session, connack: Connack, frame: Uint8Array): boolean;
    /** A broker's whole DISCONNECT: what the client gets for it. */
    disconnected(session: Session, frame: Uint8Array): Uint8Array;
  } | undefined;
  /** CONNACK with success went to the client. */
  opened(session: Session): void;
  /** A mistake of ours; the session is ended. */
  internalError(thrown: unknown): void;
  /** Both connections are gone. Called once. */
  finished(session: Session): void;
}
