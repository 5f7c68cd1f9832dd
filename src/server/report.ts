import { FAULTS, type Version } from "../mqtt/fault.ts";
import type { EndCause } from "../session/machine.ts";
import type { Session } from "../session/session.ts";

/** A session as the log and the library's events show it. */
export interface SessionInfo {
  /** The broker's assigned identifier where the client sent none. */
  readonly clientId: string;
  readonly address: string;
  readonly port: number;
  readonly listener: string;
  readonly pool: string;
  /** `host:port`; undefined when none was reached. */
  readonly broker: string | undefined;
  readonly version: "3.1" | "3.1.1" | "5" | undefined;
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
  return {
    clientId: session.clientId,
    address: session.client.remoteAddress,
    port: session.client.remotePort,
    listener: session.context.listenerName,
    pool: session.context.poolName,
    broker: session.chosen?.name,
    version: session.version && VERSIONS[session.version],
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
    if (session.downstream?.finished) return { reason: "broker_disconnect", detail: "the broker sent DISCONNECT", blame: undefined };
    return { reason: "broker_closed", detail: "the broker closed", blame: undefined };
  }
  return { reason: cause.code, detail: cause.detail, blame: FAULTS[cause.code].blame };
}
