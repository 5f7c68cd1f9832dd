import type { Connect } from "./connect.ts";
import { AUTHENTICATION_DATA, AUTHENTICATION_METHOD } from "./properties.ts";

/** Bits of the connect flags: MQTT 5 section 3.1.2.3. */
export const USERNAME = 0x80, PASSWORD = 0x40, WILL = 0x04;

/** Properties of CONNECT: MQTT 5 section 3.1.2.11. */
export const SESSION_EXPIRY = 17, USER_PROPERTY = 38, PACKET_SIZE_MAX = 39;
const RECEIVE_MAX = 33, TOPIC_ALIAS_MAX = 34;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true }); // a BOM is text: [MQTT-1.5.4-3]

/** Where the fields of a CONNECT stand in its frame. They follow each other without a gap: each ends where the next one begins. */
export interface ConnectLayout {
  /** Behind the remaining length. */
  readonly bodyAt: number;
  /** The length of the property block, and the first property; MQTT 3.x has no such block, and both are `clientIdAt`. */
  readonly propertyLengthAt: number;
  readonly propertiesAt: number;
  readonly clientIdAt: number;
  /** The will's own properties in MQTT 5; `credentialsAt` when there is no will. */
  readonly willAt: number;
  /** undefined: there is no will. */
  readonly willTopicAt: number | undefined;
  readonly usernameAt: number;
  readonly passwordAt: number;
}

/** Walks over the lengths alone: readConnect has judged every field of this frame. */
export function layoutOf(connect: Connect): ConnectLayout {
  const { frame, version, flagsAt, credentialsAt } = connect;
  const flags = frame[flagsAt] as number;
  const propertyLengthAt = flagsAt + 3; // behind the flags and the keep-alive
  const propertiesAt = version === 5 ? endOfVariableInteger(frame, propertyLengthAt) : propertyLengthAt;
  const clientIdAt = version === 5 ? endOfBlock(frame, propertyLengthAt) : propertyLengthAt;
  const willAt = endOfField(frame, clientIdAt);
  return {
    bodyAt: endOfVariableInteger(frame, 1),
    propertyLengthAt,
    propertiesAt,
    clientIdAt,
    willAt,
    willTopicAt: (flags & WILL) === 0 ? undefined : version === 5 ? endOfBlock(frame, willAt) : willAt,
    usernameAt: credentialsAt,
    passwordAt: passwordAt(connect),
  };
}

/** Where the password stands, if there is one: behind the user name, if there is one. */
export function passwordAt({ frame, flagsAt, credentialsAt }: Connect): number {
  return (frame[flagsAt] as number) & USERNAME ? endOfField(frame, credentialsAt) : credentialsAt;
}

export function hasPassword({ frame, flagsAt }: Connect): boolean {
  return ((frame[flagsAt] as number) & PASSWORD) !== 0;
}

/** The text that begins here, with its two bytes of length. */
export function textAt(frame: Uint8Array, at: number): string {
  return decoder.decode(frame.subarray(at + 2, endOfField(frame, at)));
}

/** Behind a text or binary data: two bytes of length, then as many (MQTT 5 section 1.5.4). */
export function endOfField(frame: Uint8Array, at: number): number {
  return at + 2 + (((frame[at] as number) << 8) | (frame[at + 1] as number));
}

export function endOfVariableInteger(frame: Uint8Array, at: number): number {
  let end = at;
  while ((frame[end++] as number) > 127) continue;
  return end;
}

/** Behind a property block, from where its length stands. */
function endOfBlock(frame: Uint8Array, at: number): number {
  const end = endOfVariableInteger(frame, at);
  let length = 0;
  for (let index = end - 1; index >= at; index--) length = length * 128 + ((frame[index] as number) & 127);
  return end + length;
}

/** Behind the property of CONNECT that begins here; those that are left are one byte long. */
export function endOfProperty(frame: Uint8Array, at: number): number {
  switch (frame[at]) {
    case USER_PROPERTY: return endOfField(frame, endOfField(frame, at + 1));
    case AUTHENTICATION_METHOD: case AUTHENTICATION_DATA: return endOfField(frame, at + 1);
    case SESSION_EXPIRY: case PACKET_SIZE_MAX: return at + 5;
    case RECEIVE_MAX: case TOPIC_ALIAS_MAX: return at + 3;
    default: return at + 2;
  }
}
