import { ByteReader } from "./byte_reader.ts";
import { endOfField, endOfVariableInteger, SESSION_EXPIRY, USER_PROPERTY } from "./connect_layout.ts";
import { type Fault, fault } from "./fault.ts";
import { DISCONNECT_PROPERTIES, readProperties } from "./properties.ts";

/** What a client's DISCONNECT may make of the Session Expiry Interval, in seconds. */
export interface ExpiryBounds {
  /** What its CONNECT asked for. */
  readonly askedSeconds: number;
  /** Infinity: whatever it likes. */
  readonly maxSeconds: number;
}

/** A client's DISCONNECT as its broker gets it. */
export interface BoundedDisconnect {
  readonly frame: Uint8Array;
  /** How long the broker keeps the MQTT session from now on; undefined: as long as was agreed at CONNECT. */
  readonly expirySeconds: number | undefined;
}

/** Reads a client's whole DISCONNECT of MQTT 5 and holds its expiry to the bounds: four bytes of a copy at most, and no other one. */
export function boundExpiry(frame: Uint8Array, { askedSeconds, maxSeconds }: ExpiryBounds): BoundedDisconnect | Fault {
  const reader = new ByteReader(frame, 1);
  const length = reader.variableInteger("remaining length");
  if (length > 0) reader.byte("reason code");
  const propertiesAt = reader.position;
  const properties = length > 1 ? readProperties(reader, DISCONNECT_PROPERTIES, "DISCONNECT") : undefined; // less than 2: there are none (section 3.14.2.2.1)
  if (reader.left > 0) reader.fail(`${reader.left} bytes after the last field of DISCONNECT`);
  if (reader.failure !== undefined) return fault("malformed_packet", reader.failure);
  const seconds = properties?.get(SESSION_EXPIRY) as number | undefined;
  if (seconds === undefined) return { frame, expirySeconds: undefined };
  // MQTT 5 section 3.14.2.2.2
  if (seconds > 0 && askedSeconds === 0) return fault("protocol_error", `DISCONNECT with a session expiry of ${seconds} s after CONNECT with none`);
  if (seconds <= maxSeconds) return { frame, expirySeconds: seconds };
  return { frame: withExpiry(frame, propertiesAt, maxSeconds), expirySeconds: maxSeconds };
}

/** `blockAt`: where the length of the properties stands, which were found well-formed and have an expiry. */
function withExpiry(frame: Uint8Array, blockAt: number, seconds: number): Uint8Array {
  let at = endOfVariableInteger(frame, blockAt);
  while (frame[at] !== SESSION_EXPIRY) at = endOfText(frame, at);
  const bounded = new Uint8Array(frame); // slice() of a Buffer would be no copy
  new DataView(bounded.buffer).setUint32(at + 1, seconds);
  return bounded;
}

/** All others that DISCONNECT may carry are texts: one, and two in a user property. */
function endOfText(frame: Uint8Array, at: number): number {
  const end = endOfField(frame, at + 1);
  return frame[at] === USER_PROPERTY ? endOfField(frame, end) : end;
}
