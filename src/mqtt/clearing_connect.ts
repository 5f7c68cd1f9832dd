import { type Connect, readConnect } from "./connect.ts";
import { endOfProperty, layoutOf, PASSWORD, SESSION_EXPIRY, USERNAME } from "./connect_layout.ts";
import { AUTHENTICATION_METHOD } from "./properties.ts";
import { Splice, variableIntegerBytes, variableIntegerLength, writeUint16 } from "./rewrite_splice.ts";

const CLEAN = 0x02;
/** A broker that loses sight of the connection forgets it after one and a half times this. */
const KEEP_ALIVE_SECONDS = 10;

/**
 * The CONNECT by which a client's session is ended: its identity and credentials, a clean start, no will, and no session afterwards
 * ([MQTT-3.1.2-4]). undefined: the client came by an exchange (MQTT 5 section 4.12) that nobody else can repeat.
 */
export function clearingConnect(connect: Connect): Connect | undefined {
  const layout = layoutOf(connect);
  const splice = new Splice(connect.frame, layout.bodyAt);
  if (connect.version === 5) {
    const block = new Splice(connect.frame, layout.propertiesAt);
    for (let at = layout.propertiesAt, end = at; at < layout.clientIdAt; at = end) {
      end = endOfProperty(connect.frame, at);
      if (connect.frame[at] === AUTHENTICATION_METHOD) return undefined;
      if (connect.frame[at] === SESSION_EXPIRY) block.cut(at, end); // absent: it ends with the connection, MQTT 5 section 3.1.2.11.2
    }
    block.cut(layout.clientIdAt, layout.clientIdAt);
    splice.replace(layout.propertyLengthAt, layout.clientIdAt, variableIntegerBytes(block.length));
    splice.addAll(block);
  }
  splice.cut(layout.willAt, layout.usernameAt);
  const frame = splice.frame(Infinity, "CONNECT");
  if ("code" in frame) return undefined;
  const flagsAt = 1 + variableIntegerLength(splice.length) + connect.flagsAt - layout.bodyAt;
  frame[flagsAt] = ((frame[flagsAt] as number) & (USERNAME | PASSWORD)) | CLEAN;
  writeUint16(frame, flagsAt + 1, KEEP_ALIVE_SECONDS);
  const cleared = readConnect(frame);
  return "refused" in cleared ? undefined : cleared;
}
