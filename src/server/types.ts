import type { NetworkError } from "../runtime/types.ts";

/** One listener that accepts. */
export interface ListeningAddress {
  readonly name: string;
  readonly scheme: "mqtt" | "mqtts";
  /** undefined: every address. */
  readonly host: string | undefined;
  readonly port: number;
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
  /** Dials each broker once and hangs up. */
  probe(): Promise<BrokerAnswer[]>;
  /** Graceful: stops accepting, tells MQTT 5 clients, waits for `drainTimeoutMs`, then closes what is left. */
  stop(): Promise<void>;
  /** At once. */
  stopNow(): Promise<void>;
}
