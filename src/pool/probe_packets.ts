import type { Version } from "../mqtt/fault.ts";

/** MQTT packets that a probe sends. Texts are at most 65,535 bytes. */

const encoder = new TextEncoder();

export interface ProbeLogin {
  readonly version: Version;
  readonly clientId: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

const CLEAN = 0x02, PASSWORD = 0x40, USERNAME = 0x80;
/** A broker that loses sight of us forgets a probe after one and a half times this. */
const KEEP_ALIVE_SECONDS = 30;

/** CONNECT with a clean start and no will: nothing is left of a probe. MQTT 5 section 3.1, MQTT 3.1 section 3.1. */
export function connectPacket({ version, clientId, username, password }: ProbeLogin): Uint8Array {
  const passwordIsLegal = password !== undefined && (username !== undefined || version === 5); // 3.1.1 [MQTT-3.1.2-22]
  const flags = CLEAN | (username === undefined ? 0 : USERNAME) | (passwordIsLegal ? PASSWORD : 0);
  return packet(0x10, [
    text(version === 3 ? "MQIsdp" : "MQTT"),
    [version, flags, 0, KEEP_ALIVE_SECONDS],
    noProperties(version),
    text(clientId),
    username === undefined ? [] : text(username),
    passwordIsLegal ? text(password) : [],
  ]);
}

/** SUBSCRIBE to one topic with QoS 0. MQTT 5 section 3.8. */
export function subscribePacket(version: Version, topic: string): Uint8Array {
  return packet(0x82, [[0, 1], noProperties(version), text(topic), [0]]);
}

/** PUBLISH with QoS 0, not retained. MQTT 5 section 3.3. */
export function publishPacket(version: Version, topic: string, payload: string): Uint8Array {
  return packet(0x30, [text(topic), noProperties(version), encoder.encode(payload)]);
}

/** DISCONNECT, in order. MQTT 5 section 3.14. */
export function goodbyePacket(): Uint8Array {
  return Uint8Array.of(0xe0, 0);
}

function noProperties(version: Version): readonly number[] {
  return version === 5 ? [0] : [];
}

function text(value: string): Uint8Array {
  const bytes = encoder.encode(value);
  const field = new Uint8Array(2 + bytes.length);
  field.set([bytes.length >> 8, bytes.length & 255]);
  field.set(bytes, 2);
  return field;
}

function packet(first: number, parts: readonly ArrayLike<number>[]): Uint8Array {
  let remaining = parts.reduce((sum, part) => sum + part.length, 0);
  const header = [first];
  do {
    header.push((remaining & 127) | (remaining > 127 ? 128 : 0));
    remaining >>= 7;
  } while (remaining > 0);
  return joined([header, ...parts]);
}

/** Everything in one piece. */
export function joined(parts: readonly ArrayLike<number>[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
