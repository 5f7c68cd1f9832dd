import type { PoolConfig, Transport } from "../config/types.ts";
import { type Fault, FAULTS, type Version } from "../mqtt/fault.ts";
import type { Reason } from "../pool/reason.ts";
import type { EndCause } from "../session/machine.ts";
import type { OriginTls } from "../session/origin.ts";
import type { Session } from "../session/session.ts";
import type { Tunnel } from "../session/tunnel.ts";

/** A session as the log and the library's events show it. */
export interface SessionInfo {
  /** The broker's assigned identifier where the client sent none. */
  readonly clientId: string;
  /** As authentication found it; absent: nobody checked, or it has none. */
  readonly username?: string;
  readonly address: string;
  readonly port: number;
  readonly listener: string;
  readonly pool: string;
  /** The rule that chose the pool, or turned the client away; undefined: none did. */
  readonly route: string | undefined;
  /** `host:port`; undefined when none was reached. */
  readonly broker: string | undefined;
  /**
   * What put it on that broker: the pool's algorithm (`client_id`, say), or `only_broker`, `affinity`, `elected`, `backup`, `load_max`, `last_resort`,
   * `redirect`, `fail_over`. undefined: it was turned away before.
   */
  readonly decidedBy?: Reason | undefined;
  /** undefined: not known, also where TLS is passed through. */
  readonly version: "3.1" | "3.1.1" | "5" | undefined;
  readonly transport: Transport;
  /** The other proxy that the client came through, when its PROXY header was believed. */
  readonly proxyAddress: string | undefined;
  /** What TLS told; undefined without it. */
  readonly tls: OriginTls | undefined;
}

export interface SessionEnd extends SessionInfo {
  readonly durationMs: number;
  /** From client to broker. */
  readonly bytesUpstream: number;
  readonly bytesDownstream: number;
  readonly packetsUpstream: number;
  readonly packetsDownstream: number;
  /** A stable word: `client_disconnect`, `client_closed`, `broker_disconnect`, `broker_closed`, or a fault's code. */
  readonly reason: string;
  readonly detail: string;
  /** Whose fault it was; undefined when nothing went wrong. */
  readonly blame: "client" | "broker" | "sluice" | "operator" | undefined;
}

const VERSIONS: Readonly<Record<Version, "3.1" | "3.1.1" | "5">> = { 3: "3.1", 4: "3.1.1", 5: "5" };

export function describeSession(session: Session): SessionInfo {
  const { origin } = session;
  return {
    clientId: session.clientId,
    ...(session.username !== undefined && { username: session.username }),
    address: session.address,
    port: session.port,
    listener: session.context.listenerName,
    pool: session.pool.name,
    route: session.routeName,
    broker: session.chosen?.name,
    decidedBy: session.reason,
    version: session.version && VERSIONS[session.version],
    transport: origin?.transport ?? "mqtt",
    proxyAddress: origin?.proxyAddress,
    tls: origin?.tls,
  };
}

export function describeTunnel({ context, origin, pool, routeName: route, chosen }: Tunnel): SessionInfo {
  const { address, port, transport, proxyAddress, tls } = origin;
  return { clientId: "", address, port, listener: context.listenerName, pool: pool.name, route, broker: chosen?.name, version: undefined, transport, proxyAddress, tls };
}

export function describeTunnelEnd(tunnel: Tunnel): SessionEnd {
  const { cause } = tunnel;
  return {
    ...describeTunnel(tunnel),
    durationMs: Math.round(tunnel.context.now() - tunnel.startedAt),
    bytesUpstream: tunnel.bytesUpstream,
    bytesDownstream: tunnel.bytesDownstream,
    packetsUpstream: 0,
    packetsDownstream: 0,
    reason: cause?.code ?? "closed",
    detail: cause?.detail ?? "closed in order",
    blame: cause && FAULTS[cause.code].blame,
  };
}

export function describeEnd(session: Session): SessionEnd {
  return {
    ...describeSession(session),
    durationMs: Math.round(session.context.now() - session.startedAt),
    bytesUpstream: session.bytesUpstream,
    bytesDownstream: session.bytesDownstream,
    packetsUpstream: session.upstream?.packets ?? 0,
    packetsDownstream: session.downstream?.packets ?? 0,
    ...describeCause(session, session.machine.cause ?? "client_closed"),
  };
}

function describeCause(session: Session, cause: EndCause): Pick<SessionEnd, "reason" | "detail" | "blame"> {
  if (cause === "client_closed") {
    if (session.upstream?.finished) return { reason: "client_disconnect", detail: "the client sent DISCONNECT", blame: undefined };
    return { reason: "client_closed", detail: "the client closed without DISCONNECT", blame: undefined };
  }
  if (cause === "broker_closed") {
    // It said so first, and its broker was the quicker one to close.
    if (session.upstream?.finished && !session.downstream?.finished) return { reason: "client_disconnect", detail: "the client sent DISCONNECT", blame: undefined };
    if (session.downstream?.finished) return { reason: "broker_disconnect", detail: "the broker sent DISCONNECT", blame: undefined };
    return { reason: "broker_closed", detail: "the broker closed", blame: undefined };
  }
  return { reason: cause.code, detail: session.isOpen ? cause.detail : explain(cause, session.pool.config).detail, blame: FAULTS[cause.code].blame };
}

/** What may lie behind a broker that hangs up before its CONNACK, where the configuration gives it a reason to. */
export function explain(why: Fault, { proxyProtocol }: PoolConfig): Fault {
  if (proxyProtocol === undefined || why.code !== "broker_lost") return why;
  return { ...why, detail: `${why.detail}; sluice sends it a PROXY ${proxyProtocol} header: is it set up for that?` };
}
