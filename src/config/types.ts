/** The configuration as the rest of the program sees it: every default filled in, every name resolved, units in the names. */

export type BalanceName = "round_robin" | "least_connections" | "random" | "client_id";
export type Scheme = "mqtt" | "mqtts";

export interface ListenerConfig {
  /** As configured, or `scheme://host:port`. */
  readonly name: string;
  readonly scheme: Scheme;
  /** Absent: every address, IPv4 and IPv6. */
  readonly host: string | undefined;
  readonly port: number;
  /** Present exactly when the scheme is mqtts. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** The pool that this listener's clients go to. */
  readonly pool: string;
}

export interface BrokerConfig {
  /** `host:port`, brackets around IPv6: the key of affinity hashes, and what the log shows. */
  readonly name: string;
  readonly scheme: Scheme;
  readonly host: string;
  readonly port: number;
  /** At least 1. */
  readonly weight: number;
  /** When present, these replace the credentials in the client's CONNECT. */
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Where the password is read from; `readMaterial` answers with a configuration in which `password` is filled in from it. */
  readonly passwordFile: string | undefined;
}

export interface PoolConfig {
  readonly name: string;
  readonly balance: BalanceName;
  readonly brokers: readonly BrokerConfig[];
  readonly tls: { readonly caFile: string | undefined; readonly insecure: boolean };
}

/** Every limit has a default, a reason and an outcome: README.md lists them. */
export interface Limits {
  /** Sessions at once; never more than half of the descriptors that the process may open. */
  readonly connectionsMax: number;
  /** From accept (or the end of the TLS handshake) to a whole CONNECT. */
  readonly connectTimeoutMs: number;
  readonly connectSizeMax: number;
  /** Of a whole packet, fixed header included; 268435460 (what the protocol itself allows) unless set lower. */
  readonly packetSizeMax: number;
  readonly handshakeTimeoutMs: number;
  /** TCP and TLS to one broker. */
  readonly dialTimeoutMs: number;
  /** From CONNECT to the broker's CONNACK, over all brokers that are tried. */
  readonly answerTimeoutMs: number;
  /** Bytes that a client may send between CONNECT and CONNACK before sluice stops reading it. */
  readonly bufferSizeMax: number;
  readonly stallTimeoutMs: number;
  readonly drainTimeoutMs: number;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LogConfig {
  readonly level: LogLevel;
  readonly format: "auto" | "pretty" | "json";
  readonly color: "auto" | "always" | "never";
}

export interface Configuration {
  readonly listeners: readonly ListenerConfig[];
  readonly pools: readonly PoolConfig[];
  readonly limits: Limits;
  readonly log: LogConfig;
}

/** What was read from the files that a configuration names, checked and ready for the runtime layer. */
export interface Material {
  /** By listener name; only mqtts listeners have an entry. */
  readonly listeners: ReadonlyMap<string, { readonly cert: string; readonly key: string }>;
  /** By pool name. */
  readonly pools: ReadonlyMap<string, { readonly ca?: string; readonly insecure: boolean }>;
}
