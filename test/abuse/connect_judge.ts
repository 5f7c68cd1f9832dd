/**
 * A second opinion on CONNECT, written from the standard and sharing no line with what is tested: the whole packet or nothing.
 * MQTT 3.1 section 3.1, MQTT 3.1.1 and 5 section 3.1.
 */
export function isLegalConnect(frame: Uint8Array): boolean {
  try {
    return new Judge(frame).judge();
  } catch {
    return false;
  }
}

/** Bytes of a number, or what else a property is. */
type Width = 1 | 2 | 4 | "text" | "binary" | "pair";

const CONNECT_WIDTHS: Readonly<Record<number, Width>> = {
  0x11: 4, 0x15: "text", 0x16: "binary", 0x17: 1, 0x19: 1, 0x21: 2, 0x22: 2, 0x26: "pair", 0x27: 4,
};
const WILL_WIDTHS: Readonly<Record<number, Width>> = {
  0x01: 1, 0x02: 4, 0x03: "text", 0x08: "text", 0x09: "binary", 0x18: 4, 0x26: "pair",
};
/** Their value is 0 or 1. */
const FLAGS = [0x01, 0x17, 0x19];
/** Their value is not 0. */
const POSITIVE = [0x21, 0x27];

/** Every text in a legal CONNECT, and its Maximum Packet Size. */
export function contentsOf(frame: Uint8Array): { texts: readonly string[]; packetSizeMax: number | undefined } {
  const judge = new Judge(frame);
  judge.judge();
  return judge;
}

class Judge {
  readonly texts: string[] = [];
  packetSizeMax: number | undefined = undefined;
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  judge(): boolean {
    this.#must(this.#number(1) === 0x10);
    const remaining = this.#variable();
    this.#must(this.#bytes.length - this.#at === remaining);
    const name = this.#text();
    const level = this.#number(1);
    const version = level & 0x7f;
    this.#must((name === "MQIsdp" && version === 3) || (name === "MQTT" && (version === 4 || level === 5)));
    const flags = this.#number(1);
    const hasWill = (flags & 4) !== 0;
    const hasUser = (flags & 128) !== 0;
    const hasPassword = (flags & 64) !== 0;
    this.#must((flags & 1) === 0);
    this.#must(hasWill ? (flags & 24) !== 24 : (flags & 56) === 0);
    this.#must(version === 5 || hasUser || !hasPassword);
    this.#number(2);
    if (version === 5) {
      const seen = this.#properties(CONNECT_WIDTHS);
      this.#must(!seen.has(0x16) || seen.has(0x15));
    }
    const clientId = this.#text();
    this.#must(clientId !== "" || version === 5 || (version === 4 && (flags & 2) !== 0));
    if (hasWill) {
      if (version === 5) this.#properties(WILL_WIDTHS);
      const topic = this.#text();
      this.#must(topic.length > 0 && !topic.includes("#") && !topic.includes("+"));
      this.#binary();
    }
    if (hasUser) this.#text();
    if (hasPassword) this.#binary();
    return this.#at === this.#bytes.length;
  }

  #must(condition: boolean): void {
    if (!condition) throw new Error("not legal");
  }

  #number(bytes: number): number {
    let value = 0;
    for (let i = 0; i < bytes; i++) {
      this.#must(this.#at < this.#bytes.length);
      value = value * 256 + (this.#bytes[this.#at++] as number);
    }
    return value;
  }

  #variable(): number {
    const start = this.#at;
    let value = 0;
    for (let power = 1; ; power *= 128) {
      this.#must(this.#at - start < 4);
      const byte = this.#number(1);
      value += (byte % 128) * power;
      if (byte >= 128) continue;
      this.#must(byte !== 0 || this.#at - start === 1);
      return value;
    }
  }

  #binary(): Uint8Array {
    const length = this.#number(2);
    this.#must(this.#at + length <= this.#bytes.length);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** Decoded by hand: code points in their shortest form, no surrogates, no U+0000. */
  #text(): string {
    const bytes = this.#binary();
    let text = "";
    for (let i = 0; i < bytes.length; ) {
      const first = bytes[i++] as number;
      const more = first < 0x80 ? 0 : first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xf0 && first < 0xf5 ? 3 : -1;
      this.#must(more >= 0);
      let point = more === 0 ? first : first & (0x3f >> more);
      for (let k = 0; k < more; k++) {
        const next = bytes[i++] ?? 0;
        this.#must(next >> 6 === 2);
        point = point * 64 + (next & 0x3f);
      }
      this.#must(point !== 0 && (more !== 2 || point >= 0x800) && (more !== 3 || point >= 0x10000));
      this.#must(point <= 0x10ffff && (point < 0xd800 || point > 0xdfff));
      text += String.fromCodePoint(point);
    }
    this.texts.push(text);
    return text;
  }

  #properties(widths: Readonly<Record<number, Width>>): ReadonlySet<number> {
    const end = this.#variable() + this.#at;
    const seen = new Set<number>();
    while (this.#at < end) {
      const id = this.#variable();
      const width = widths[id];
      if (width === undefined || (id !== 0x26 && seen.has(id))) throw new Error("not legal");
      seen.add(id);
      if (width === "text") this.#text();
      else if (width === "binary") this.#binary();
      else if (width === "pair") {
        this.#text();
        this.#text();
      } else {
        const value = this.#number(width);
        this.#must(!FLAGS.includes(id) || value < 2);
        this.#must(!POSITIVE.includes(id) || value > 0);
        if (id === 0x27) this.packetSizeMax = value;
      }
    }
    this.#must(this.#at === end);
    return seen;
  }
}
