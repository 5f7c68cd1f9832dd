import type { Connect } from "./connect.ts";
import { endOfField, layoutOf, PASSWORD, SESSION_EXPIRY, USERNAME } from "./connect_layout.ts";
import { Splice, uint32Property, variableIntegerBytes } from "./rewrite_splice.ts";

const CLEAN = 0x02;
const NEVER = 0xffff_ffff;
/** A broker that loses sight of the connection forgets it after one and a half times this. */
const KEEP_ALIVE_SECONDS = 10;
const HEAD = Uint8Array.of(0, 4, 0x4d, 0x51, 0x54, 0x54, 5); // "MQTT", version 5: [MQTT-3.1.2-1]

/**
 * A CONNECT of MQTT 3.x said in MQTT 5, which has words for sending a client elsewhere: the same identity, credentials and MQTT session, and no
 * will. Should the broker take it, the session that it would keep for the client stays as it is.
 */
export function askingConnect(connect: Connect): Uint8Array {
  const { frame, flagsAt, cleanStart } = connect;
  const { clientIdAt, usernameAt } = layoutOf(connect);
  const flags = ((frame[flagsAt] as number) & (USERNAME | PASSWORD)) | (cleanStart ? CLEAN : 0);
  const expiry = cleanStart ? new Uint8Array(0) : uint32Property(SESSION_EXPIRY, NEVER);
  const splice = new Splice(frame, frame.length);
  splice.add(HEAD);
  splice.add(Uint8Array.of(flags, 0, KEEP_ALIVE_SECONDS));
  splice.add(variableIntegerBytes(expiry.length));
  splice.add(expiry);
  splice.add(frame.subarray(clientIdAt, endOfField(frame, clientIdAt)));
  splice.add(frame.subarray(usernameAt));
  return splice.frame(Infinity, "CONNECT") as Uint8Array;
}
