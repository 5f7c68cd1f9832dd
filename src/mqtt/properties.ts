import type { ByteReader } from "./byte_reader.ts";

type PropertyType = "flag" | "byte" | "uint16" | "uint32" | "text" | "binary" | "pair";

interface Property {
  readonly name: string;
  readonly type: PropertyType;
  /** A value of 0 is a protocol error. */
  readonly nonZero?: true;
}

/** MQTT 5 section 2.2.2.2, those that CONNECT, its will, CONNACK and DISCONNECT may carry. */
const PROPERTIES: Readonly<Record<number, Property>> = {
  1: { name: "Payload Format Indicator", type: "flag" },
  2: { name: "Message Expiry Interval", type: "uint32" },
  3: { name: "Content Type", type: "text" },
  8: { name: "Response Topic", type: "text" },
  9: { name: "Correlation Data", type: "binary" },
  17: { name: "Session Expiry Interval", type: "uint32" },
  18: { name: "Assigned Client Identifier", type: "text" },
  19: { name: "Server Keep Alive", type: "uint16" },
  21: { name: "Authentication Method", type: "text" },
  22: { name: "Authentication Data", type: "binary" },
  23: { name: "Request Problem Information", type: "flag" },
  24: { name: "Will Delay Interval", type: "uint32" },
  25: { name: "Request Response Information", type: "flag" },
  26: { name: "Response Information", type: "text" },
  28: { name: "Server Reference", type: "text" },
  31: { name: "Reason String", type: "text" },
  33: { name: "Receive Maximum", type: "uint16", nonZero: true },
  34: { name: "Topic Alias Maximum", type: "uint16" },
  36: { name: "Maximum QoS", type: "flag" },
  37: { name: "Retain Available", type: "flag" },
  38: { name: "User Property", type: "pair" },
  39: { name: "Maximum Packet Size", type: "uint32", nonZero: true },
  40: { name: "Wildcard Subscription Available", type: "flag" },
  41: { name: "Subscription Identifier Available", type: "flag" },
  42: { name: "Shared Subscription Available", type: "flag" },
};

export const AUTHENTICATION_METHOD = 21;
export const AUTHENTICATION_DATA = 22;
export const ASSIGNED_CLIENT_ID = 18;
export const SERVER_KEEP_ALIVE = 19;
export const SERVER_REFERENCE = 28;
const USER_PROPERTY = 38;
export const CONNECT_PROPERTIES: ReadonlySet<number> = new Set([17, 33, 39, 34, 25, 23, USER_PROPERTY, 21, 22]);
export const WILL_PROPERTIES: ReadonlySet<number> = new Set([24, 1, 2, 3, 8, 9, USER_PROPERTY]);
export const CONNACK_PROPERTIES: ReadonlySet<number> =
  new Set([17, 33, 36, 37, 39, 18, 34, 31, USER_PROPERTY, 40, 41, 42, 19, 26, 28, 21, 22]);
export const DISCONNECT_PROPERTIES: ReadonlySet<number> = new Set([17, 31, USER_PROPERTY, SERVER_REFERENCE]);

/** What a block said, by identifier; User Property and binary data are only marked as seen. */
export type PropertyValues = ReadonlyMap<number, number | string>;

/** Reads a property block: known and allowed here, well-formed, once each but for User Property. */
export function readProperties(reader: ByteReader, allowed: ReadonlySet<number>, where: string): PropertyValues {
  const seen = new Map<number, number | string>();
  reader.within(reader.variableInteger(`${where} property length`), `${where} properties`, () => {
    const identifier = reader.variableInteger(`${where} property identifier`);
    const property = PROPERTIES[identifier];
    if (property === undefined || !allowed.has(identifier)) reader.fail(`property ${identifier} is not allowed in ${where}`);
    else if (seen.has(identifier) && identifier !== USER_PROPERTY) reader.fail(`${property.name} twice in ${where}`);
    else seen.set(identifier, readValue(reader, property));
  });
  return seen;
}

function readValue(reader: ByteReader, { name, type, nonZero }: Property): number | string {
  if (type === "text") return reader.text(name);
  if (type === "binary") return reader.binary(name);
  if (type === "pair") {
    reader.text(name);
    return reader.text(name);
  }
  const value = type === "uint16" ? reader.uint16(name) : type === "uint32" ? reader.uint32(name) : reader.byte(name);
  if (type === "flag" && value > 1) reader.fail(`${name} of ${value}`);
  if (nonZero && value === 0) reader.fail(`${name} of 0`);
  return value;
}
