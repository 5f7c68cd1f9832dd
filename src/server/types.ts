import type { Scheme } from "../config/types.ts";
import type { FaultCode } from "../mqtt/fault.ts";
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
  /** undefined: it accepted a connection (and TLS). */
  readonly error: NetworkError | undefined;
  readonly milliseconds: number;
}

/** The running core, as the command line and the library see it. */
export interface ProxyServer {
  /** Opens every listener, or none: the failure of the first that could not be had. */
  start(): Promise<ListenFailure | undefined>;
  readonly addresses: readonly ListeningAddress[];
  readonly sessionCount: number;
  /** Clients turned away since the start, by the code of the reason. */
  readonly refusals: ReadonlyMap<FaultCode, number>;
  /** Dials each broker once and hangs up. */
  probe(): Promise<BrokerAnswer[]>;
  /** Graceful: stops accepting, tells MQTT 5 clients, waits for `drainTimeoutMs`, then closes what is left. */
  stop(): Promise<void>;
  /** At once. */
  stopNow(): Promise<void>;
}
