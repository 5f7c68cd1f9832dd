import { ByteReader } from "./byte_reader.ts";
import type { Connect } from "./connect.ts";
import { connectPacketSizeMax } from "./connect_fields.ts";
import { SESSION_EXPIRY } from "./connect_layout.ts";
import type { Fault } from "./fault.ts";
import { ASSIGNED_CLIENT_ID, CONNACK_PROPERTIES, readProperties, SERVER_KEEP_ALIVE } from "./properties.ts";
import type { ConnectChanges } from "./rewrite.ts";
import { Splice, uint32Property, variableIntegerBytes } from "./rewrite_splice.ts";

/**
 * The broker's CONNACK with what the client must learn of a CONNECT that was changed on its way: another keep-alive
 * ([MQTT-3.2.2-21]), another session expiry (MQTT 5 section 3.2.2.3.2), an identifier where it had none ([MQTT-3.2.2-16]). What the broker says
 * of these itself stays. A refusal, and every CONNACK of 3.x, which has no words for it, is answered as it is. `frame` is one that
 * readConnack took.
 */
export function rewriteConnack(frame: Uint8Array, connect: Connect, changes: ConnectChanges): Uint8Array | Fault {
  if (connect.version !== 5) return frame;
  const reader = new ByteReader(frame, 1);
  const length = reader.variableInteger("remaining length");
  const bodyAt = reader.position;
  const isRefusal = frame[bodyAt + 1] !== 0;
  if (isRefusal || length === 2) return frame;
  reader.position += 2; // acknowledge flags and reason code
  const propertyLengthAt = reader.position;
  const told = readProperties(reader, CONNACK_PROPERTIES, "CONNACK");
  const added = new Splice(frame, frame.length);
  const { keepAliveSeconds, sessionExpirySeconds, clientId } = changes;
  if (isNews(keepAliveSeconds, connect.keepAliveSeconds) && !told.has(SERVER_KEEP_ALIVE)) {
    added.add(Uint8Array.of(SERVER_KEEP_ALIVE, keepAliveSeconds >> 8, keepAliveSeconds & 255));
  }
  if (isNews(sessionExpirySeconds, connect.sessionExpirySeconds) && !told.has(SESSION_EXPIRY)) added.add(uint32Property(SESSION_EXPIRY, sessionExpirySeconds));
  if (connect.clientId === "" && clientId && !told.has(ASSIGNED_CLIENT_ID)) {
    added.add(Uint8Array.of(ASSIGNED_CLIENT_ID));
    added.addText(clientId, "client identifier");
  }
  return added.length === 0 ? frame : withProperties(frame, { bodyAt, propertyLengthAt }, added, connectPacketSizeMax(connect));
}

const isNews = (now: number | undefined, before: number): now is number => now !== undefined && now !== before;

/** The properties are the last of CONNACK: what is added comes at its end. */
function withProperties(frame: Uint8Array, at: { readonly bodyAt: number; readonly propertyLengthAt: number }, added: Splice, sizeMax: number): Uint8Array | Fault {
  const { bodyAt, propertyLengthAt } = at;
  const reader = new ByteReader(frame, propertyLengthAt);
  const length = reader.variableInteger("property length") + added.length;
  const splice = new Splice(frame, bodyAt);
  splice.replace(propertyLengthAt, reader.position, variableIntegerBytes(length));
  splice.cut(frame.length, frame.length);
  splice.addAll(added);
  return splice.frame(sizeMax, "CONNACK");
}
