import * as m from "../support/mqtt_bytes.ts";

/** Hostile bytes as tables: what is sent, and what must come of it. The numbers are those of the test plan. */

const five = (properties: Uint8Array) => m.connect({ version: 5, properties });
const repeat = (count: number, part: Uint8Array) => m.bytes(...Array.from({ length: count }, () => part));

/** The first bytes of a connection; none of them reaches a broker. */
export interface FirstVector {
  readonly id: string;
  readonly what: string;
  readonly bytes: Uint8Array;
  /** The CONNACK before the close, where the version is known and has one. */
  readonly reply?: Uint8Array;
}

const MALFORMED = m.hex("20 03 00 81 00");
const BAD_LEVEL = m.hex("20 02 00 01");
const BAD_LEVEL_5 = m.hex("20 03 00 84 00");
const BAD_ID = m.hex("20 02 00 02");
const NO_REPLY = new Uint8Array(0);

const WITH_WILL = { topic: "t", payload: "x" } as const;
const first = (id: string, what: string, bytes: Uint8Array, reply: Uint8Array = NO_REPLY): FirstVector => ({ id, what, bytes, reply });

export const FIRST_VECTORS: readonly FirstVector[] = [
  first("M1", "PUBLISH first", m.publish()),
  first("M1", "SUBSCRIBE first", m.subscribe([["#", 0]])),
  first("M1", "PINGREQ first", m.pingreq()),
  first("M1", "DISCONNECT first", m.disconnect()),
  first("M1", "CONNACK first", m.connack()),
  first("M1", "AUTH first", m.auth()),
  first("M1", "type 0", m.hex("00 00")),
  first("M1", "0xff", m.hex("ff ff ff ff ff ff")),
  first("M1", "PUBLISH with CONNECT behind", m.bytes(m.publish(), m.connect())),
  first("M2", "a CONNECT of 256 MiB", m.hex("10 ff ff ff 7f")),
  first("M2", "a PUBLISH of 256 MiB", m.hex("30 ff ff ff 7f")),
  first("M2", "a CONNECT one byte over the limit", m.bytes(m.hex("10"), m.variableInteger(65_536 - 3))),
  first("M3", "a remaining length of five bytes", m.hex("10 80 80 80 80 01")),
  first("M3", "a remaining length of five bytes with a whole CONNECT behind", m.bytes(m.hex("10 8d 80 80 80 00"), m.connect().subarray(2))),
  first("M4", "a remaining length not in its shortest form", m.bytes([0x10], m.variableInteger(m.connect().length - 2, 2), m.connect().subarray(2))),
  first("M4", "the same of four bytes", m.bytes([0x10], m.variableInteger(m.connect().length - 2, 4), m.connect().subarray(2))),
  first("M5", "a property length of five bytes", m.packet(0x10, m.field("MQTT"), [5, 2], m.uint16(60), m.hex("ff ff ff ff 01"), m.field("x")), MALFORMED),
  first("M5", "a property length beyond the packet", m.packet(0x10, m.field("MQTT"), [5, 2], m.uint16(60), [100], m.field("x")), MALFORMED),
  first("M5", "a property length not in its shortest form", m.packet(0x10, m.field("MQTT"), [5, 2], m.uint16(60), m.hex("80 00"), m.field("x")), MALFORMED),
  first("M8", "MQTS", m.connect({ protocolName: "MQTS" })),
  first("M8", "mqtt", m.connect({ protocolName: "mqtt" })),
  first("M8", "no protocol name", m.connect({ protocolName: "" })),
  first("M8", "MQIsdp with level 4", m.connect({ protocolName: "MQIsdp", protocolLevel: 4 })),
  first("M8", "MQTT with level 3", m.connect({ protocolLevel: 3 }), BAD_LEVEL),
  first("M8", "level 0", m.connect({ protocolLevel: 0 }), BAD_LEVEL),
  first("M8", "level 2", m.connect({ protocolLevel: 2 }), BAD_LEVEL),
  first("M8", "level 6", m.connect({ protocolLevel: 6 }), BAD_LEVEL_5),
  first("M8", "level 255", m.connect({ protocolLevel: 255 }), BAD_LEVEL_5),
  first("M8", "a protocol name longer than the packet", m.packet(0x10, m.hex("ff ff"), "MQTT")),
  first("M8", "an empty CONNECT", m.hex("10 00")),
  first("M9", "the bridge bit in MQTT 5", m.connect({ version: 5, bridge: true }), BAD_LEVEL_5),
  first("M10", "the reserved connect flag", m.connect({ flags: 0x03 })),
  first("M10", "the same in MQTT 5", m.connect({ version: 5, flags: 0x03 }), MALFORMED),
  first("M11", "a will of QoS 3", m.connect({ flags: 0x1e, will: WITH_WILL })),
  first("M11", "will QoS without a will", m.connect({ flags: 0x0a })),
  first("M11", "will retain without a will in MQTT 5", m.connect({ version: 5, flags: 0x22 }), MALFORMED),
  first("M12", "a password without a user name in 3.1.1", m.connect({ password: "p" })),
  first("M12", "the same in 3.1", m.connect({ version: 3, password: "p" })),
  first("M13", "a user name that is announced and missing", m.connect({ flags: 0x82 })),
  first("M13", "a password that is announced and missing", m.connect({ username: "u", flags: 0xc2 })),
  first("M13", "a will that is announced and missing", m.connect({ version: 5, flags: 0x06 }), MALFORMED),
  first("M13", "bytes after the last field", m.connect({ trailing: [0] })),
  first("M13", "a whole CONNECT after the last field", m.connect({ version: 5, trailing: m.connect() }), MALFORMED),
  first("M14", "overlong UTF-8 in the client id", m.connect({ clientId: m.hex("c0 80") })),
  first("M14", "a surrogate in the client id", m.connect({ version: 5, clientId: m.hex("ed a0 80") }), MALFORMED),
  first("M14", "a code point above U+10FFFF", m.connect({ clientId: m.hex("f4 90 80 80") })),
  first("M14", "truncated UTF-8 in the user name", m.connect({ username: m.hex("e2 82") })),
  first("M14", "U+0000 in the client id", m.connect({ clientId: m.hex("61 00 62") })),
  first("M14", "U+0000 in the will topic", m.connect({ version: 5, will: { topic: m.hex("61 00"), payload: "" } }), MALFORMED),
  first("M15", "an empty client id without clean session", m.connect({ clientId: "", clean: false }), BAD_ID),
  first("M15", "an empty client id in 3.1", m.connect({ version: 3, clientId: "" }), BAD_ID),
  first("M17", "Session Expiry Interval twice", five(repeat(2, m.PROPERTY.sessionExpirySeconds(1))), MALFORMED),
  first("M17", "an unknown property", five(m.hex("7f 00")), MALFORMED),
  first("M17", "an unknown property of two bytes", five(m.hex("ff 7f")), MALFORMED),
  first("M17", "a property of PUBLISH", five(m.PROPERTY.topicAlias(1)), MALFORMED),
  first("M17", "a property of CONNACK", five(m.PROPERTY.assignedClientId("x")), MALFORMED),
  first("M17", "a property of the will outside of it", five(m.hex("18 00000001")), MALFORMED),
  first("M17", "a will with a property of CONNECT", m.connect({ version: 5, will: { ...WITH_WILL, properties: m.PROPERTY.receiveMaximum(1) } }), MALFORMED),
  first("M18", "Receive Maximum 0", five(m.PROPERTY.receiveMaximum(0)), MALFORMED),
  first("M18", "Maximum Packet Size 0", five(m.PROPERTY.packetSizeMax(0)), MALFORMED),
  first("M18", "Request Problem Information 2", five(m.hex("17 02")), MALFORMED),
  first("M19", "50,000 user properties", m.packet(0x10, m.field("MQTT"), [5, 2], m.uint16(60), m.variableInteger(250_000), repeat(50_000, m.PROPERTY.user("", "")), m.field("x"))),
  first("M20", "a wildcard in the will topic", m.connect({ will: { topic: "a/#", payload: "" } })),
  first("M20", "an empty will topic", m.connect({ version: 5, will: { topic: "", payload: "" } }), MALFORMED),
  first("M21", "CONNECT with flags", m.bytes([0x11], m.connect().subarray(1))),
];

/** What follows an accepted CONNECT. */
export interface LaterVector {
  readonly id: string;
  readonly what: string;
  readonly bytes: Uint8Array;
  /** How many of the bytes may reach the broker. */
  readonly legal: number;
  /** The reason in the DISCONNECT that an MQTT 5 client gets. */
  readonly code: number;
  /** Absent: in 3.1.1 and in 5. */
  readonly version?: m.Version;
}

const later = (id: string, what: string, bytes: Uint8Array, rest: Partial<LaterVector> = {}): LaterVector => ({ id, what, bytes, legal: 0, code: 0x81, ...rest });
const NON_MINIMAL_PUBLISH = m.bytes([0x30], m.variableInteger(m.publish().length - 2, 2), m.publish().subarray(2));

export const LATER_VECTORS: readonly LaterVector[] = [
  later("M3", "PUBLISH with a length of five bytes", m.hex("30 80 80 80 80 01 00")),
  later("M3", "the same with a CONNECT hidden behind", m.bytes(m.hex("30 80 80 80 80 01"), m.connect({ clientId: "hidden" }))),
  later("M4", "PINGREQ with a length of two bytes", m.hex("c0 80 00")),
  later("M4", "PUBLISH with a length not in its shortest form", NON_MINIMAL_PUBLISH),
  later("M4", "the same behind a legal one", m.bytes(m.pingreq(), NON_MINIMAL_PUBLISH), { legal: 2 }),
  later("M20", "PUBLISH of QoS 3", m.bytes([0x36], m.publish({ qos: 1 }).subarray(1))),
  later("M20", "PUBLISH of QoS 0 with DUP", m.bytes([0x38], m.publish().subarray(1))),
  later("M20", "PUBLISH too short for a topic", m.hex("30 01 00")),
  ...[0x41, 0x52, 0x60, 0x61, 0x66, 0x7f, 0x80, 0x81, 0x86, 0xa0, 0xa3, 0xc1, 0xc8, 0xe1, 0xef].map((byte) =>
    later("M21", `0x${byte.toString(16)}`, m.packet(byte, m.hex("00 01 00 01 61 00")))),
  later("M21", "AUTH in 3.1.1", m.auth(), { version: 4 }),
  later("M21", "AUTH with flags", m.hex("f1 02 18 00"), { version: 5 }),
  later("M21", "PINGREQ with a body", m.hex("c0 01 00")),
  later("M21", "PUBACK without an identifier", m.hex("40 00")),
  later("M21", "DISCONNECT with a body in 3.1.1", m.hex("e0 02 04 00"), { version: 4 }),
  later("M22", "SUBSCRIBE without a filter", m.packet(0x82, m.uint16(1)), { version: 4 }),
  later("M22", "SUBSCRIBE without a filter in MQTT 5", m.packet(0x82, m.uint16(1), [0]), { version: 5 }),
  later("M22", "UNSUBSCRIBE without a filter", m.packet(0xa2, m.uint16(1)), { version: 4 }),
  later("M22", "UNSUBSCRIBE from an empty filter", m.unsubscribe([""])),
  later("M23", "type 0", m.hex("00 00")),
  later("M23", "CONNACK", m.connack()),
  later("M23", "SUBACK", m.suback(1, [0])),
  later("M23", "UNSUBACK", m.hex("b0 02 00 01")),
  later("M23", "PINGRESP", m.pingresp()),
  later("M23", "PINGRESP behind a PUBLISH", m.bytes(m.publish(), m.pingresp()), { legal: m.publish().length, version: 4 }),
  later("P1", "a second CONNECT", m.connect(), { code: 0x82 }),
  later("P1", "a second CONNECT of another client and user", m.connect({ clientId: "other", username: "root", password: "x" }), { code: 0x82 }),
  later("P1", "a second CONNECT behind PINGREQ", m.bytes(m.pingreq(), m.connect()), { legal: 2, code: 0x82 }),
  later("P1", "a second CONNECT of another version", m.connect({ version: 3 }), { code: 0x82 }),
];

/** Legal frames with contents that only a broker judges: sluice must change nothing of what a broker makes of them. */
export const LEFT_TO_THE_BROKER: readonly { readonly id: string; readonly what: string; readonly bytes: (version: m.Version) => Uint8Array }[] = [
  { id: "M20", what: "PUBLISH with identifier 0", bytes: (version) => m.publish({ version, qos: 1, packetId: 0 }) },
  { id: "M20", what: "PUBLISH to a/+", bytes: (version) => m.publish({ version, topic: "a/+" }) },
  { id: "M20", what: "PUBLISH to #", bytes: (version) => m.publish({ version, topic: "#" }) },
  { id: "M20", what: "PUBLISH to no topic", bytes: (version) => m.publish({ version, topic: "" }) },
  { id: "M20", what: "PUBLISH with a topic longer than the packet", bytes: () => m.packet(0x30, m.hex("ff ff 61 62")) },
  { id: "M20", what: "PUBLISH with U+0000 in its topic", bytes: (version) => m.publish({ version, topic: m.hex("61 00") }) },
  { id: "M20", what: "PUBLISH with overlong UTF-8 in its topic", bytes: (version) => m.publish({ version, topic: m.hex("c0 80") }) },
  { id: "M22", what: "SUBSCRIBE with QoS 3", bytes: (version) => m.subscribe([["a", 3]], { version }) },
  { id: "M22", what: "SUBSCRIBE with reserved bits", bytes: (version) => m.subscribe([["a", 0xc0]], { version }) },
  { id: "M22", what: "SUBSCRIBE to a filter that is none", bytes: (version) => m.subscribe([["a#/b", 0]], { version }) },
  { id: "M22", what: "SUBSCRIBE with identifier 0", bytes: (version) => m.subscribe([["a", 0]], { version, packetId: 0 }) },
  { id: "M23", what: "PUBACK for nothing", bytes: () => m.puback(77) },
  { id: "M23", what: "PUBREC for nothing", bytes: () => m.pubrec(77) },
  { id: "M23", what: "PUBREL for nothing", bytes: () => m.pubrel(77) },
  { id: "M23", what: "PUBCOMP for nothing", bytes: () => m.pubcomp(77) },
  { id: "M25", what: "a topic of 65,000 slashes", bytes: (version) => m.publish({ version, topic: "/".repeat(65_000) }) },
  { id: "M25", what: "a filter of 65,000 slashes", bytes: (version) => m.subscribe([["/".repeat(65_000), 0]], { version }) },
];

/** A session that does everything that a client may do, up to its DISCONNECT. */
export function honestStream(version: m.Version): Uint8Array {
  return m.bytes(
    m.connect({ version, clientId: "honest", username: "u", password: "p", will: { ...WITH_WILL, qos: 1, retain: true } }),
    m.subscribe([["a/b", 1]], { version, packetId: 1 }),
    m.publish({ version, topic: "a/b", payload: "zero" }),
    m.publish({ version, topic: "a/b", payload: "one", qos: 1, packetId: 2 }),
    m.publish({ version, topic: "a/b", payload: "two", qos: 2, packetId: 3, retain: true }),
    m.pubrel(3),
    m.pingreq(),
    m.unsubscribe(["a/b"], { version, packetId: 4 }),
    version === 5 ? m.auth() : [],
    m.disconnect({ version, ...(version === 5 && { code: 0x04 }) }),
  );
}
