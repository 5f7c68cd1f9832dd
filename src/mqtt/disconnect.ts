import { ByteReader } from "./byte_reader.ts";
import { DISCONNECT_PROPERTIES, readProperties, SERVER_REFERENCE } from "./properties.ts";

/** "Use another server" and "Server moved": MQTT 5 section 4.11. */
const USE_ANOTHER_SERVER = 0x9c, SERVER_MOVED = 0x9d;

/** Whether a reason code, of CONNACK or DISCONNECT, sends the client to another server. */
export function isRedirect(code: number): boolean {
  return code === USE_ANOTHER_SERVER || code === SERVER_MOVED;
}

/** Where a broker's whole DISCONNECT sends its client (MQTT 5 section 3.14.2.2.5); undefined: nowhere, or it is not well-formed. */
export function referenceIn(frame: Uint8Array): string | undefined {
  const reader = new ByteReader(frame, 1);
  if (reader.variableInteger("remaining length") < 2) return undefined;
  if (!isRedirect(reader.byte("reason code"))) return undefined;
  const properties = readProperties(reader, DISCONNECT_PROPERTIES, "DISCONNECT");
  if (reader.failure !== undefined || reader.left > 0) return undefined;
  return properties.get(SERVER_REFERENCE) as string | undefined;
}

/** Where the last frame of a chunk begins, which a FrameFollower has found legal up to its end. `from`: where the first one does. */
export function lastFrameAt(bytes: Uint8Array, from: number): number {
  let last = from;
  for (let at = from; at < bytes.length; at += frameLength(bytes, at)) last = at;
  return last;
}

/** With its fixed header, which is there as a whole. */
export function frameLength(bytes: Uint8Array, at: number): number {
  const reader = new ByteReader(bytes, at + 1);
  const remaining = reader.variableInteger("remaining length");
  return reader.position - at + remaining;
}
