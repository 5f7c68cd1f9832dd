import type { Scheme } from "../config/types.ts";
import type { FaultCode } from "../mqtt/fault.ts";
import type { AdminState, HealthState } from "../pool/broker_state.ts";
import type { NetworkError } from "../runtime/types.ts";

/** One listener that accepts. */
export interface ListeningAddress {
  readonly name: string;
  /** As in the configuration, with the port that it has. */
  readonly url: string;
  readonly scheme: Scheme;
  /** undefined: every address. */
  readonly host: string | undefined;
  readonly port: number;
  /** The unix socket's file, instead of host and port. */
  readonly unixPath?: string;
  readonly pool: string;
}

/** A listener that could not have its address. */
export interface ListenFailure {
  readonly listener: string;
  readonly address: string;
  readonly error: NetworkError;
}

export interface BrokerAnswer {
  readonly pool: string;
  readonly broker: string;
  /** Present when it gets no new clients because the operator wants it so: no answer is no news then. */
  readonly state?: "drain" | "maint";
  /** undefined: it accepted a connection (and TLS). */
  readonly error: NetworkError | undefined;
  readonly milliseconds: number;
}

/** One broker as it is now. */
export interface BrokerInfo {
  readonly pool: string;
  /** `host:port`. */
  readonly broker: string;
  /** What the operator wants: `ready`, `drain` (no new clients but those whose session it holds) or `maint` (none, and those that it has are closed). */
  readonly state: AdminState;
  readonly health: HealthState;
  /** Of the last change of either. */
  readonly since: Date;
  /** Why; undefined: nothing has changed since the start. */
  readonly cause: string | undefined;
  /** On it, or on their way there. */
  readonly sessions: number;
  readonly weight: number;
}

/** What is to be different; absent: as it is. */
export interface BrokerChange {
  readonly state?: AdminState;
  /** Above 0. */
  readonly weight?: number;
}

/** The running core, as the command line and the library see it. */
export interface ProxyServer {
  /** Opens every listener, or none: the failure of the first that could not be had. */
  start(): Promise<ListenFailure | undefined>;
  readonly addresses: readonly ListeningAddress[];
  readonly sessionCount: number;
  /** Clients turned away since the start, by the code of the reason. */
  readonly refusals: ReadonlyMap<FaultCode, number>;
  /** All brokers of all pools. */
  readonly brokers: readonly BrokerInfo[];
  /** Until the next start. Throws a RangeError, which names what there is, for a broker or a value that cannot be. */
  setBroker(pool: string, broker: string, change: BrokerChange): void;
  /** Dials each broker once and hangs up. */
  probe(): Promise<BrokerAnswer[]>;
  /** Graceful: stops accepting, tells MQTT 5 clients, waits for `drainTimeoutMs`, then closes what is left. */
  stop(): Promise<void>;
  /** At once. */
  stopNow(): Promise<void>;
}
