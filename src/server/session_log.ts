import type { Fault } from "../mqtt/fault.ts";
import { EVENTS } from "../observe/events.ts";
import type { Log, LogFields } from "../observe/log.ts";
import type { NetworkError } from "../runtime/types.ts";
import type { Session } from "../session/session.ts";
import { describeEnd, describeSession, type SessionInfo } from "./report.ts";

/** What is said of sessions and brokers, and at which level. Nothing is gathered for a line that nobody will see. */

function fieldsOf(info: SessionInfo): LogFields {
  return {
    "client.id": info.clientId,
    "client.address": info.address,
    "client.port": info.port,
    "mqtt.version": info.version,
    listener: info.listener,
    pool: info.pool,
    broker: info.broker,
  };
}

const who = (info: SessionInfo) => `${info.clientId || "(no client id)"} from ${info.address}:${info.port}`;

export function logOpen(log: Log, session: Session): void {
  if (!log.isOn("info")) return;
  const info = describeSession(session);
  log.info(EVENTS.clientOpen, `${who(info)} → ${info.broker} (MQTT ${info.version})`, fieldsOf(info));
}

/** The end of an open session, or a client that was turned away; one that left before CONNECT (a port check) is for debugging only. */
export function logClose(log: Log, session: Session): void {
  const isSilent = !session.isOpen && session.version === undefined && session.machine.cause === "client_closed";
  const level = isSilent ? "debug" : "info";
  if (!log.isOn(level)) return;
  const end = describeEnd(session);
  const fields = {
    ...fieldsOf(end),
    reason: end.reason,
    blame: end.blame,
    duration_ms: end.durationMs,
    bytes_upstream: end.bytesUpstream,
    bytes_downstream: end.bytesDownstream,
    packets_upstream: end.packetsUpstream,
    packets_downstream: end.packetsDownstream,
  };
  const event = session.isOpen ? EVENTS.clientClose : EVENTS.clientReject;
  log[level](event, `${who(end)}: ${end.detail}`, fields);
}

export function logHandshakeFailed(log: Log, listener: string, address: string, error: NetworkError): void {
  if (!log.isOn("info")) return;
  log.info(EVENTS.clientReject, `${address}: ${error.message}`, { "client.address": address, listener, reason: "handshake_failed" });
}

export function logTooMany(log: Log, sessionsMax: number): void {
  log.warn(EVENTS.clientReject, `closed at once: the limit of ${sessionsMax} connections is reached`, { reason: "too_many_connections" });
}

export function logBrokerDown(log: Log, pool: string, broker: string, why: Fault): void {
  log.warn(EVENTS.brokerDown, `${broker} is tried last for a while: ${why.detail}`, { pool, broker, reason: why.code });
}

export function logBrokerUp(log: Log, pool: string, broker: string): void {
  log.info(EVENTS.brokerUp, `${broker} answers again`, { pool, broker });
}
