import type { Connect } from "./connect.ts";
import { endOfField, endOfProperty, hasPassword, layoutOf, PACKET_SIZE_MAX, passwordAt, textAt, USER_PROPERTY } from "./connect_layout.ts";

/** What a CONNECT says beyond the fields of `Connect`. Nothing here costs anything before it is called; it is read anew each time. */

/** A view of the frame, not a copy; undefined: the client gave none. */
export function connectPassword(connect: Connect): Uint8Array | undefined {
  return hasPassword(connect) ? connect.frame.subarray(passwordAt(connect) + 2) : undefined;
}

/** undefined: there is no will. */
export function connectWillTopic(connect: Connect): string | undefined {
  const { willTopicAt } = layoutOf(connect);
  return willTopicAt === undefined ? undefined : textAt(connect.frame, willTopicAt);
}

/**
 * Names and values in their order, repeated names included; none in 3.x. All of them, so that nobody hides one behind many: there
 * is at most one for each five bytes of a CONNECT, and the size of that is limited.
 */
export function connectUserProperties(connect: Connect): readonly (readonly [name: string, value: string])[] {
  const { frame } = connect;
  const { propertiesAt, clientIdAt } = layoutOf(connect);
  const found: [string, string][] = [];
  for (let at = propertiesAt; at < clientIdAt; at = endOfProperty(frame, at)) {
    if (frame[at] === USER_PROPERTY) found.push([textAt(frame, at + 1), textAt(frame, endOfField(frame, at + 1))]);
  }
  return found;
}

/** The largest packet that the client takes, in bytes; Infinity when it names none. [MQTT-3.1.2-24] */
export function connectPacketSizeMax(connect: Connect): number {
  const { frame } = connect;
  const { propertiesAt, clientIdAt } = layoutOf(connect);
  for (let at = propertiesAt; at < clientIdAt; at = endOfProperty(frame, at)) {
    if (frame[at] === PACKET_SIZE_MAX) return new DataView(frame.buffer, frame.byteOffset + at + 1, 4).getUint32(0);
  }
  return Infinity;
}
