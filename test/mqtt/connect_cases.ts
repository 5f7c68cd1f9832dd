import * as m from "../support/mqtt_bytes.ts";
import type { SeededRandom } from "../support/seed.ts";

/** A property of CONNECT as bytes, and its name when it is a user property. */
export interface DrawnProperty {
  readonly identifier: number;
  readonly name?: string;
  readonly bytes: Uint8Array;
}

/** The fields of a legal CONNECT, apart, so that a test can say which one is another. */
export type DrawnConnect = Omit<m.ConnectFields, "properties" | "version" | "clean" | "flags"> & {
  readonly version: m.Version;
  readonly clean: boolean;
  readonly properties: readonly DrawnProperty[];
};

const TEXTS = ["a", "sensor", "ü", "€", "𝄞", "\ufeffbom", "a/b", "\x7f\u0080\u07ff\u0800\ud7ff\ue000\uffff\u{10000}\u{10ffff}", "__proto__", "x".repeat(120), "y".repeat(16_370), "z".repeat(65_535)];
const NAMES = ["", "x-client-ip", "X-Client-IP", "site", "ü", "toString"];

/** Mostly short; now and then as long as makes a length one byte longer. */
export function drawText(random: SeededRandom): string {
  return random.chance(0.9) ? random.pick(TEXTS.slice(0, 10)) : random.chance(0.8) ? "w".repeat(random.integer(90, 140)) : random.pick(TEXTS);
}

export const drawName = (random: SeededRandom): string => random.pick(NAMES);

export function drawConnect(random: SeededRandom): DrawnConnect {
  const version = random.pick([3, 4, 5] as const);
  const username = random.chance(0.6) ? random.pick(["", drawText(random)]) : undefined;
  const clean = random.chance(0.5);
  return {
    version,
    clean,
    bridge: version !== 5 && random.chance(0.2),
    clientId: (version === 5 || (version === 4 && clean)) && random.chance(0.2) ? "" : drawText(random),
    keepAliveSeconds: random.pick([0, 10, 60, 65_535]),
    properties: version === 5 ? drawProperties(random) : [],
    ...(username !== undefined && { username }),
    ...((username !== undefined || version === 5) && random.chance(0.6) && { password: random.bytes(random.integer(0, 40)) }),
    ...(random.chance(0.5) && { will: drawWill(random, version) }),
  };
}

function drawWill(random: SeededRandom, version: m.Version): NonNullable<m.ConnectFields["will"]> {
  const user = (): Uint8Array => m.PROPERTY.user(drawName(random), drawText(random));
  return {
    topic: drawText(random),
    payload: random.bytes(random.pick([0, 1, 30, 200])),
    qos: random.integer(0, 2),
    retain: random.chance(0.5),
    ...(version === 5 && { properties: m.bytes(user(), [0x18], m.uint32(7), user(), [0x09], m.field(random.bytes(9))) }),
  };
}

function drawProperties(random: SeededRandom): DrawnProperty[] {
  const number = random.integer(1, 65_535);
  const single: DrawnProperty[] = [
    { identifier: 0x11, bytes: m.PROPERTY.sessionExpirySeconds(random.pick([0, 300, 4_294_967_295])) },
    { identifier: 0x15, bytes: m.PROPERTY.authenticationMethod("SCRAM") },
    { identifier: 0x17, bytes: m.hex("17 00") },
    { identifier: 0x19, bytes: m.hex("19 01") },
    { identifier: 0x21, bytes: m.PROPERTY.receiveMaximum(number) },
    { identifier: 0x22, bytes: m.PROPERTY.topicAliasMaximum(number) },
    { identifier: 0x27, bytes: m.PROPERTY.packetSizeMax(number * 65_536) },
  ];
  const chosen = single.filter(() => random.chance(0.4));
  const users = Array.from({ length: random.integer(0, 5) }, () => {
    const name = drawName(random);
    return { identifier: 0x26, name, bytes: m.PROPERTY.user(name, random.pick(["", drawText(random)])) };
  });
  return random.shuffle([...chosen, ...users]);
}

export function drawnBytes({ properties, ...fields }: DrawnConnect): Uint8Array {
  return m.connect({ ...fields, properties: m.bytes(...properties.map(({ bytes }) => bytes)) });
}
