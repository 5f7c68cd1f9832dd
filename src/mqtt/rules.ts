import type { Version } from "./fault.ts";

/**
 * What a fixed header may say, by direction and version: one entry for each possible first byte.
 * `least` is the smallest legal remaining length, or ILLEGAL, or LAST for DISCONNECT (any length, but nothing may follow it);
 * `most` the largest, before the packet size limit.
 */
export interface HeaderRules {
  readonly version: Version;
  readonly least: Int16Array;
  readonly most: Int32Array;
}

export const ILLEGAL = -1;
export const LAST = -2;
export const REMAINING_LENGTH_MAX = 268_435_455; // four bytes of seven bits each: MQTT 5 section 1.5.5

const CONNECT = 1, PUBLISH = 3, PUBACK = 4, PUBREC = 5, PUBREL = 6, PUBCOMP = 7, SUBSCRIBE = 8, SUBACK = 9;
const UNSUBSCRIBE = 10, UNSUBACK = 11, PINGREQ = 12, PINGRESP = 13, DISCONNECT = 14, AUTH = 15;
const PACKET_NAMES = ["reserved type 0", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE",
  "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"] as const;

/** The packet type's name in the standard's spelling, from a frame's first byte. */
export function packetName(firstByte: number): string {
  return PACKET_NAMES[firstByte >> 4] as string;
}

export function isConnect(firstByte: number): boolean {
  return firstByte >> 4 === CONNECT;
}

function buildRules(version: Version, fromClient: boolean): HeaderRules {
  const least = new Int16Array(256).fill(ILLEGAL);
  const most = new Int32Array(256).fill(REMAINING_LENGTH_MAX);
  const five = version === 5;
  const allow = (firstByte: number, smallest: number, largest = REMAINING_LENGTH_MAX) => {
    least[firstByte] = smallest;
    most[firstByte] = largest;
  };
  for (let flags = 0; flags < 16; flags++) {
    const qos = (flags >> 1) & 3;
    const duplicate = (flags & 8) !== 0;
    // [MQTT-3.3.1-4] no QoS 3; [MQTT-3.3.1-2] DUP is 0 for QoS 0. Topic length, packet identifier, property length.
    if (qos !== 3 && !(duplicate && qos === 0)) allow((PUBLISH << 4) | flags, 2 + (qos ? 2 : 0) + (five ? 1 : 0));
  }
  // [MQTT-2.2.2-2] reserved flags. MQTT 3.1 (section 2.1) still let DUP mark a repeated PUBREL, SUBSCRIBE or UNSUBSCRIBE.
  const reserved2 = version === 3 ? [2, 10] : [2];
  const acknowledgement = five ? REMAINING_LENGTH_MAX : 2;
  for (const type of [PUBACK, PUBREC, PUBCOMP]) allow(type << 4, 2, acknowledgement);
  for (const flags of reserved2) allow((PUBREL << 4) | flags, 2, acknowledgement);
  if (fromClient) {
    for (const flags of reserved2) allow((SUBSCRIBE << 4) | flags, five ? 7 : 6); // [MQTT-3.8.3-3] at least one filter
    for (const flags of reserved2) allow((UNSUBSCRIBE << 4) | flags, five ? 6 : 5); // [MQTT-3.10.3-2]
    allow(PINGREQ << 4, 0, 0);
    allow(DISCONNECT << 4, LAST, five ? REMAINING_LENGTH_MAX : 0);
  } else {
    allow(SUBACK << 4, five ? 4 : 3);
    allow(UNSUBACK << 4, five ? 4 : 2, five ? REMAINING_LENGTH_MAX : 2);
    allow(PINGRESP << 4, 0, 0);
    if (five) allow(DISCONNECT << 4, LAST);
  }
  if (five) allow(AUTH << 4, 0);
  return { version, least, most };
}

/** For what a client may send after its CONNECT. A second CONNECT is illegal here: [MQTT-3.1.0-2]. */
export const CLIENT_RULES: Readonly<Record<Version, HeaderRules>> = {
  3: buildRules(3, true),
  4: buildRules(4, true),
  5: buildRules(5, true),
};

/** For what a broker may send after its CONNACK. */
export const BROKER_RULES: Readonly<Record<Version, HeaderRules>> = {
  3: buildRules(3, false),
  4: buildRules(4, false),
  5: buildRules(5, false),
};

/** For a direction in which something illegal was seen. */
export const NOTHING_IS_LEGAL: HeaderRules = { version: 5, least: new Int16Array(256).fill(ILLEGAL), most: new Int32Array(256) };
