/**
 * One error value for everything that can go wrong with a session: what, whose fault, and what the client is told. Hostile bytes end in one of these, never in an exception.
 */

export type Version = 3 | 4 | 5;

interface FaultKind {
  readonly blame: "client" | "broker" | "sluice" | "operator";
  /** CONNACK return code for MQTT 3.1 and 3.1.1; 0: these versions have none, the connection is closed. */
  readonly connack3: number;
  /** CONNACK reason code for MQTT 5; 0: none fits, the connection is closed. */
  readonly connack5: number;
  /** DISCONNECT reason code for MQTT 5; 0: none fits. Codes: MQTT 5 section 2.4, each legal where it stands. */
  readonly disconnect5: number;
}

const kind = (blame: FaultKind["blame"], connack3: number, connack5: number, disconnect5: number): FaultKind => ({
  blame,
  connack3,
  connack5,
  disconnect5,
});

export const FAULTS = {
  malformed_packet: kind("client", 0, 0x81, 0x81),
  protocol_error: kind("client", 0, 0x82, 0x82),
  unsupported_version: kind("client", 1, 0x84, 0),
  client_id_rejected: kind("client", 2, 0x85, 0),
  packet_too_large: kind("client", 0, 0x95, 0x95),
  wrong_protocol: kind("client", 0, 0, 0),
  connect_timeout: kind("client", 0, 0, 0),
  keep_alive_too_long: kind("client", 5, 0x87, 0), // in 3.x only: MQTT 5 has Server Keep Alive
  keep_alive_timeout: kind("client", 0, 0, 0x8d),
  client_stalled: kind("client", 0, 0, 0),
  client_lost: kind("client", 0, 0, 0),
  handshake_failed: kind("client", 0, 0, 0),
  not_authorized: kind("client", 5, 0x87, 0x87),
  bad_credentials: kind("client", 4, 0x86, 0),
  banned: kind("client", 5, 0x8a, 0),
  auth_unavailable: kind("operator", 3, 0x88, 0),
  server_busy: kind("operator", 3, 0x89, 0x89),
  server_unavailable: kind("operator", 3, 0x88, 0),
  too_many_connections: kind("operator", 3, 0x97, 0),
  shutting_down: kind("operator", 3, 0x88, 0x8b),
  decision_timeout: kind("operator", 3, 0x88, 0),
  no_broker: kind("operator", 3, 0x88, 0),
  broker_unreachable: kind("broker", 3, 0x88, 0),
  broker_timeout: kind("broker", 3, 0x88, 0),
  broker_lost: kind("broker", 3, 0x88, 0),
  broker_malformed: kind("broker", 3, 0x88, 0),
  broker_refused: kind("client", 0, 0, 0),
  broker_down: kind("broker", 3, 0x88, 0x8b),
  broker_moved: kind("operator", 3, 0x88, 0x9c),
  broker_maintenance: kind("operator", 3, 0x88, 0x98),
  rebalanced: kind("operator", 3, 0x88, 0x9c),
  session_taken_over: kind("client", 0, 0, 0x8e),
  broker_stalled: kind("broker", 0, 0, 0x83),
  internal_error: kind("sluice", 3, 0x80, 0x80),
} as const satisfies Record<string, FaultKind>;

export type FaultCode = keyof typeof FAULTS;

export interface Fault {
  readonly code: FaultCode;
  /** For the log: what was seen, in MQTT's words. Never holds credentials. */
  readonly detail: string;
}

export function fault(code: FaultCode, detail: string): Fault {
  return { code, detail };
}

/** The CONNACK that refuses a client in its own version, or undefined where MQTT has none for this fault: then only the close speaks. */
export function refusalPacket(version: Version, code: FaultCode): Uint8Array | undefined {
  const reason = version === 5 ? FAULTS[code].connack5 : FAULTS[code].connack3;
  if (reason === 0) return undefined;
  return version === 5 ? Uint8Array.of(0x20, 3, 0, reason, 0) : Uint8Array.of(0x20, 2, 0, reason);
}

/** The DISCONNECT that ends a running MQTT 5 session; MQTT 3.x has no such packet from the server. */
export function disconnectPacket(version: Version, code: FaultCode): Uint8Array | undefined {
  const reason = FAULTS[code].disconnect5;
  return version === 5 && reason !== 0 ? Uint8Array.of(0xe0, 2, reason, 0) : undefined;
}
