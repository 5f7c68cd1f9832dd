import type { Fault, FaultCode } from "../mqtt/fault.ts";
import { EVENTS } from "../observe/events.ts";
import type { Log, LogFields } from "../observe/log.ts";
import type { Broker } from "../pool/broker.ts";
import type { Session } from "../session/session.ts";
import type { Tunnel } from "../session/tunnel.ts";
import { describeEnd, describeSession, describeTunnel, describeTunnelEnd, explain, type SessionInfo } from "./report.ts";

/** What is said of sessions and brokers, and at which level. Nothing is gathered for a line that nobody will see. */

function fieldsOf(info: SessionInfo): LogFields {
  return {
    "client.id": info.clientId,
    username: info.username,
    "client.address": info.address,
    "client.port": info.port,
    "mqtt.version": info.version,
    listener: info.listener,
    pool: info.pool,
    route: info.route,
    broker: info.broker,
    decided_by: info.decidedBy,
    transport: info.transport === "mqtt" ? undefined : info.transport,
    "proxy.address": info.proxyAddress,
    "tls.version": info.tls?.version,
    "tls.server_name": info.tls?.serverName,
    "tls.alpn": info.tls?.alpn,
    "tls.client.common_name": info.tls?.certificate?.commonName,
    "tls.client.fingerprint": info.tls?.certificate?.fingerprint,
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

/** TLS that is passed through: all that is known is what the client said before it. */
export function logTunnelOpen(log: Log, tunnel: Tunnel): void {
  if (!log.isOn("info")) return;
  const info = describeTunnel(tunnel);
  log.info(EVENTS.clientOpen, `${info.tls?.serverName ?? "(no server name)"} from ${info.address}:${info.port} → ${info.broker} (TLS passed through)`, fieldsOf(info));
}

export function logTunnelClose(log: Log, tunnel: Tunnel): void {
  if (!log.isOn("info")) return;
  const end = describeTunnelEnd(tunnel);
  const fields = { ...fieldsOf(end), reason: end.reason, blame: end.blame, duration_ms: end.durationMs, bytes_upstream: end.bytesUpstream, bytes_downstream: end.bytesDownstream };
  log.info(tunnel.isOpen ? EVENTS.clientClose : EVENTS.clientReject, `${end.tls?.serverName ?? "(no server name)"} from ${end.address}:${end.port}: ${end.detail}`, fields);
}

/** Turned away before anything was known of it in MQTT. */
export function logRefused(log: Log, listener: string, address: string, code: FaultCode, why: string): void {
  if (!log.isOn("info")) return;
  log.info(EVENTS.clientReject, `${address}: ${why}`, { "client.address": address, listener, reason: code });
}

/** `network` has failed once too often. */
export function logBan(log: Log, network: string, banMs: number): void {
  log.warn(EVENTS.clientReject, `${network} is banned for ${banMs / 1_000} s: too many failures`, { network, reason: "banned" });
}

export function logTooMany(log: Log, sessionsMax: number): void {
  log.warn(EVENTS.clientReject, `closed at once: the limit of ${sessionsMax} connections is reached`, { reason: "too_many_connections" });
}

const placeOf = ({ name, pool }: Broker) => ({ pool: pool.name, broker: name });

export function logBrokerDown(log: Log, broker: Broker, why: Fault): void {
  log.warn(EVENTS.brokerDown, `${broker.name} is tried last for a while: ${explain(why, broker.pool).detail}`, { ...placeOf(broker), reason: why.code });
}

export function logBrokerUp(log: Log, broker: Broker): void {
  log.info(EVENTS.brokerUp, `${broker.name} answers again`, placeOf(broker));
}
