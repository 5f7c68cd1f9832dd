import type { RewriteRule } from "./rewrite_rule.ts";

/** The configuration as the rest of the program sees it: every default filled in, every name resolved, units in the names. */

export type BalanceName = "round_robin" | "least_connections" | "random" | "client_id" | "username" | "address" | "first";
/** What a connection may speak; `any` tells them apart by the first bytes. */
export type Transport = "mqtt" | "mqtts" | "ws" | "wss";
export type Scheme = Transport | "any";

export interface ListenerConfig {
  /** As configured, or `scheme://host:port`. */
  readonly name: string;
  readonly scheme: Scheme;
  /** Absent: every address, IPv4 and IPv6. */
  readonly host: string | undefined;
  readonly port: number;
  /** A unix socket instead of TCP, and the mode of its file. */
  readonly unixPath?: string;
  readonly unixMode?: number;
  /** A socket that systemd hands over instead of one of our own; empty: the only one. */
  readonly systemdName?: string;
  /** What is let in: one of them, or several of an `any` listener. */
  readonly accept?: readonly Transport[];
  readonly tls: ListenerTlsConfig | "passthrough" | undefined;
  readonly websocket?: WebSocketConfig;
  readonly proxyProtocol?: { readonly mode: "required" | "optional"; readonly from: readonly string[] };
  /** Clients at once; absent: only the limit of all counts. */
  readonly connectionsMax?: number;
  /** How many clients are let in in a time. */
  readonly connectRate?: Rate;
  /** The pool that this listener's clients go to, unless a route says otherwise. */
  readonly pool: string;
}

/** At most `count` at once, and as many more in each `perMs` milliseconds. */
export interface Rate {
  readonly count: number;
  readonly perMs: number;
}

export interface ListenerTlsConfig {
  /** The first is for clients that name no server, or one that no other is for. */
  readonly certificates: readonly CertificateConfig[];
  /** One more is made for this host by a local authority: this, with the files it will have. It becomes the first of `certificates`. */
  readonly auto?: CertificateConfig;
  /** The authority that made it: what clients must trust. */
  readonly authorityFile?: string;
  readonly minVersion: "1.2" | "1.3";
  readonly alpn: readonly string[];
}

export interface CertificateConfig {
  readonly certFile: string;
  readonly keyFile: string;
  /** Server names it is for; undefined: those in the certificate. */
  readonly names: readonly string[] | undefined;
  readonly clientCertificates: "none" | "request" | "require";
  readonly caFile: string | undefined;
  readonly crlFile: string | undefined;
}

export interface WebSocketConfig {
  readonly path: string;
  readonly protocols: readonly string[];
  /** undefined: all. */
  readonly origins: readonly string[] | undefined;
}

export interface BrokerConfig {
  /** `host:port`, brackets around IPv6: the key of affinity hashes, and what the log shows. */
  readonly name: string;
  readonly scheme: Transport;
  readonly host: string;
  readonly port: number;
  readonly unixPath?: string;
  /** WebSocket: path and query. */
  readonly path?: string;
  /** At least 1. */
  readonly weight: number;
  /** When present, these replace the credentials in the client's CONNECT. */
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Gets clients only while no other broker can take them. */
  readonly backup?: boolean;
  /** Sessions at once; absent: no limit. */
  readonly sessionsMax?: number;
  /** How many clients it gets in a time. */
  readonly connectRate?: Rate;
  /** What it begins with; absent: "ready". */
  readonly state?: "drain" | "maint";
  /** Where the password is read from; `readMaterial` answers with a configuration in which `password` is filled in from it. */
  readonly passwordFile: string | undefined;
}

/** The forward proxy through which a pool's brokers are reached. */
export interface ViaConfig {
  readonly scheme: "http" | "socks5";
  readonly host: string;
  readonly port: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly passwordFile: string | undefined;
}

export interface PoolConfig {
  readonly name: string;
  readonly balance: BalanceName;
  readonly brokers: readonly BrokerConfig[];
  readonly tls: PoolTlsConfig;
  /** More header lines for the upgrade request of WebSocket brokers. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly proxyProtocol?: "v1" | "v2";
  readonly via?: ViaConfig;
  /** For algorithms that hash: a broker with more than this many times its fair share is passed over. */
  readonly loadMax?: number;
  /** How long the weight of a broker that came back grows; absent: it has it at once. */
  readonly slowStartMs?: number;
  /** Absent: "each". */
  readonly failOver?: "each" | "all";
  /** With failOver "all": how long a better placed broker must have been good before everybody goes back; absent: they go back at once. */
  readonly returnAfterMs?: number;
  /** Absent: "none". */
  readonly affinity?: "none" | "session";
  /** Absent: the pool goes by what clients meet. */
  readonly health?: HealthConfig;
  /** Over how long the sessions of a broker that went down are closed; absent: at once. */
  readonly evictWithinMs?: number;
  /** With affinity: the session on the broker that a clean start left is ended. */
  readonly clearSessions?: boolean;
  /** Of two clients with one id the older one is closed, wherever it is. */
  readonly takeOver?: boolean;
  /** Absent: a broker's Server Reference is passed on. */
  readonly redirects?: "follow";
  /** Absent: clients that no broker has room for are refused at once. */
  readonly waiting?: { readonly clientsMax: number; readonly timeoutMs: number };
  /** Absent: sessions stay where they are. */
  readonly rebalance?: { readonly rate: Rate; readonly absolute: number; readonly relative: number };
  /** What is different in the CONNECT that the brokers get. */
  readonly connect?: RewriteRule;
}

export interface HealthConfig {
  readonly probe: "tcp" | "mqtt";
  readonly intervalMs: number;
  readonly fastIntervalMs: number;
  readonly timeoutMs: number;
  readonly rise: number;
  readonly fall: number;
  readonly version: 3 | 4 | 5;
  /** undefined: the user and password of the broker's URL. */
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly passwordFile: string | undefined;
  readonly loopTopic: string | undefined;
}

export interface PoolTlsConfig {
  readonly caFile: string | undefined;
  readonly insecure: boolean;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly serverName?: string;
  readonly alpn?: readonly string[];
}

/** All that is given must fit; the lists are alternatives. Patterns: `*` any characters, `?` one. */
export interface RouteConfig {
  /** As configured, or its place: `routes[0]`. */
  readonly name: string;
  readonly listeners: readonly string[] | undefined;
  readonly serverNames: readonly string[] | undefined;
  readonly alpn: readonly string[] | undefined;
  readonly clientIds: readonly string[] | undefined;
  readonly usernames: readonly string[] | undefined;
  /** Networks, as `parseNetwork` reads them. */
  readonly addresses: readonly string[] | undefined;
  readonly versions: readonly (3 | 4 | 5)[] | undefined;
  readonly commonNames: readonly string[] | undefined;
  readonly alternativeNames: readonly string[] | undefined;
  readonly userProperties: readonly (readonly [name: string, pattern: string])[] | undefined;
  /** Where such clients go, or why they are turned away. */
  readonly pool: string | undefined;
  readonly refuse: RouteRefusal | undefined;
}

export type RouteRefusal = "not_authorized" | "bad_credentials" | "banned" | "client_id_rejected" | "server_busy" | "server_unavailable";

/** Who may come in. */
export interface AuthenticationConfig {
  /** Whether clients come in that show neither user name nor password, and that no check knows. */
  readonly anonymous: boolean;
  /** The names of the listeners whose clients are checked. */
  readonly listeners: readonly string[];
  /** The first that has something to say decides; none: only bans count, and the brokers check. */
  readonly checks: readonly CheckConfig[];
  readonly bans: BansConfig | undefined;
}

export type CheckConfig = PasswordFileCheck | CertificateCheck | JwtCheck | HttpCheck;

export interface PasswordFileCheck {
  readonly type: "password_file";
  readonly file: string;
  /** How long a right password is not hashed again. */
  readonly cacheMs: number;
}

export interface CertificateCheck {
  readonly type: "certificate";
  readonly field: "common_name" | "dns" | "email" | "uri" | "ip";
}

export interface JwtCheck {
  readonly type: "jwt";
  /** A file (PEM, JWKS or a secret), or where the key set is fetched. */
  readonly keys: { readonly file: string } | { readonly url: string; readonly timeoutMs: number; readonly refreshMs: number; readonly staleMs: number };
  /** undefined: all for public keys. */
  readonly algorithms: readonly string[] | undefined;
  /** Empty: anybody with the key. */
  readonly issuers: readonly string[];
  /** Empty: not looked at. */
  readonly audiences: readonly string[];
  readonly leewayMs: number;
  readonly tokenIn: "password" | "username";
  readonly usernameClaim: string;
}

export interface HttpCheck {
  readonly type: "http";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** 0: a client is always asked about. */
  readonly cacheMs: number;
  /** At least `cacheMs`. */
  readonly staleMs: number;
}

export interface BansConfig {
  /** Networks, as `parseNetwork` reads them. */
  readonly addresses: readonly string[];
  /** Patterns: `*` any characters, `?` one. */
  readonly usernames: readonly string[];
  readonly clientIds: readonly string[];
  /** undefined: failures ban nobody. */
  readonly automatic: { readonly failuresMax: number; readonly windowMs: number; readonly banMs: number } | undefined;
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
  /** Clients at once of one address (IPv6: of its /64), and of one user name; absent: no limit, here and below. */
  readonly connectionsPerAddressMax?: number;
  readonly connectionsPerUsernameMax?: number;
  readonly connectRatePerAddress?: Rate;
  /** The longest keep-alive, 1 to 65,535. */
  readonly keepAliveMaxSeconds?: number;
  readonly sessionLengthMaxMs?: number;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LogConfig {
  readonly level: LogLevel;
  readonly format: "auto" | "pretty" | "json";
  readonly color: "auto" | "always" | "never";
}

export interface Configuration {
  readonly listeners: readonly ListenerConfig[];
  /** The first that fits decides. */
  readonly routes?: readonly RouteConfig[];
  readonly pools: readonly PoolConfig[];
  /** undefined: everybody comes in, and the brokers check. */
  readonly authentication?: AuthenticationConfig;
  readonly limits: Limits;
  readonly log: LogConfig;
}

/** What was read from the files that a configuration names, checked and ready for the runtime layer. PEM text throughout. */
export interface Material {
  /** By listener name, in the order of the configuration; listeners without certificates have no entry. */
  readonly listeners: ReadonlyMap<string, readonly CertificateMaterial[]>;
  /** By pool name. */
  readonly pools: ReadonlyMap<string, PoolMaterial>;
  /** The files of the authentication's checks, by their number; undefined: that check has none. */
  readonly checks?: readonly (Uint8Array | undefined)[];
}

export interface CertificateMaterial {
  readonly config: CertificateConfig;
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
  readonly crl?: string;
}

export interface PoolMaterial {
  readonly ca?: string;
  readonly insecure: boolean;
  readonly cert?: string;
  readonly key?: string;
}
