import * as m from "../support/mqtt_bytes.ts";
import type { SeededRandom } from "../support/seed.ts";

const TEXTS = ["", "a", "sensor", "ü", "€", "𝄞", "\ufeff", "a/b", "#", "+", "$SYS", "x".repeat(127), "y".repeat(200)];
const BAD_TEXTS = ["c080", "eda080", "f4908080", "e282", "00", "6100", "ff", "80", "c1bf", "e08080", "f0808080", "efbfbf", "ee80"].map(m.hex);

const text = (random: SeededRandom): Uint8Array => (random.chance(0.06) ? random.pick(BAD_TEXTS) : m.bytes(random.pick(TEXTS)));

function someProperties(random: SeededRandom, list: readonly ((random: SeededRandom) => Uint8Array)[]): Uint8Array {
  return m.bytes(...Array.from({ length: random.integer(0, 4) }, () => random.pick(list)(random)));
}

const OF_CONNECT: readonly ((random: SeededRandom) => Uint8Array)[] = [
  (r) => m.PROPERTY.sessionExpirySeconds(r.integer(0, 4_294_967_295)),
  (r) => m.bytes([0x15], m.field(text(r))),
  (r) => m.PROPERTY.authenticationData(r.bytes(r.integer(0, 9))),
  (r) => m.bytes([r.pick([0x17, 0x19])], [r.pick([0, 1, 1, 2])]),
  (r) => m.PROPERTY.receiveMaximum(r.pick([0, 1, 65_535])),
  (r) => m.PROPERTY.topicAliasMaximum(r.pick([0, 7])),
  (r) => m.PROPERTY.packetSizeMax(r.pick([0, 1, 4_294_967_295])),
  (r) => m.bytes([0x26], m.field(text(r)), m.field(text(r))),
  (r) => m.bytes([0x26], m.field(text(r)), m.field(text(r))),
];
const OF_WILL: readonly ((random: SeededRandom) => Uint8Array)[] = [
  (r) => m.bytes([0x18], m.uint32(r.integer(0, 100))),
  (r) => m.bytes([0x01, r.pick([0, 1, 1, 2])]),
  (r) => m.bytes([0x02], m.uint32(r.integer(0, 100))),
  (r) => m.bytes([r.pick([0x03, 0x08])], m.field(text(r))),
  (r) => m.bytes([0x09], m.field(r.bytes(r.integer(0, 9)))),
  (r) => m.bytes([0x26], m.field(text(r)), m.field(text(r))),
];

/** A CONNECT that is mostly legal, from every corner of what is. */
export function someConnect(random: SeededRandom): Uint8Array {
  const version = random.pick([3, 4, 5] as const);
  const isFive = version === 5;
  const username = random.chance(0.5) ? text(random) : undefined;
  return m.connect({
    version,
    clientId: random.chance(0.7) ? `client-${random.integer(0, 999_999)}` : text(random),
    clean: random.chance(0.6),
    keepAliveSeconds: random.pick([0, 10, 60, 65_535]),
    bridge: random.chance(0.05),
    ...(username !== undefined && { username }),
    ...((username !== undefined || isFive) && random.chance(0.5) && { password: random.bytes(random.integer(0, 12)) }),
    ...(isFive && { properties: someProperties(random, OF_CONNECT) }),
    ...(random.chance(0.4) && {
      will: {
        topic: random.chance(0.8) ? "will/topic" : text(random),
        payload: random.bytes(random.integer(0, 20)),
        qos: random.integer(0, 2),
        retain: random.chance(0.3),
        ...(isFive && { properties: someProperties(random, OF_WILL) }),
      },
    }),
    ...(random.chance(0.04) && { protocolLevel: random.pick([0, 3, 4, 5, 6, 0x83, 0x84, 0x85]) }),
    ...(random.chance(0.04) && { flags: random.integer(0, 255) }),
    ...(random.chance(0.03) && { trailing: random.bytes(random.integer(1, 4)) }),
  });
}

/** A few bytes of it changed, cut out, doubled or swapped; sometimes with the length put right again. */
export function mutated(random: SeededRandom, data: Uint8Array): Uint8Array {
  let out = [...data];
  for (let count = random.integer(1, 3); count > 0 && out.length > 2; count--) {
    const at = random.integer(0, out.length - 1);
    random.pick([
      () => { out[at] = random.integer(0, 255); },
      () => { out[at] = (out[at] as number) ^ (1 << random.integer(0, 7)); },
      () => { out[at] = random.pick([0x00, 0x01, 0x7f, 0x80, 0xff, 0x10, 0xe0]); },
      () => { out.splice(at, random.integer(1, 4)); },
      () => { out.splice(at, 0, ...random.bytes(random.integer(1, 4))); },
      () => { out.splice(at, 0, ...out.slice(at, at + random.integer(1, 8))); },
      () => { out = out.slice(0, Math.max(2, at)); },
    ])();
  }
  return Uint8Array.from(out);
}

/** Its first packet with a remaining length that is true again. */
export function lengthRepaired(frame: Uint8Array): Uint8Array {
  let at = 1;
  while (at < Math.min(4, frame.length - 1) && (frame[at] as number) > 127) at++;
  return m.packet(frame[0] as number, frame.subarray(at + 1));
}

/** CONNECT and what follows it, hidden packets included. */
export function someStream(random: SeededRandom): Uint8Array {
  const version = random.pick([3, 4, 5] as const);
  const topic = (): string => random.pick(["a", "a/b", "x".repeat(120)]);
  const parts: Uint8Array[] = [random.chance(0.5) ? m.connect({ version, clientId: `stream-${random.integer(0, 1e9)}` }) : someConnect(random)];
  for (let count = random.integer(0, 8); count > 0; count--) {
    parts.push(random.pick([
      () => m.publish({ version, topic: topic(), payload: random.bytes(random.integer(0, 200)), qos: random.integer(0, 2), packetId: random.integer(1, 9) }),
      () => m.publish({ version, topic: topic(), payload: m.connect({ clientId: "hidden" }) }),
      () => m.subscribe([[topic(), random.integer(0, 2)]], { version }),
      () => m.unsubscribe([topic()], { version }),
      () => m.pingreq(),
      () => m.pubrel(random.integer(1, 9)),
      () => m.puback(random.integer(1, 9)),
      () => m.bytes([0x30], m.variableInteger(random.integer(0, 40), random.integer(2, 5)), m.connect({ clientId: "hidden" })),
      () => m.connect({ version, clientId: "second" }),
      () => m.bytes(m.disconnect(), m.connect({ clientId: "after" })),
      () => random.bytes(random.integer(1, 12)),
    ])());
  }
  const whole = m.bytes(...parts);
  return random.chance(0.7) ? mutated(random, whole) : whole;
}
