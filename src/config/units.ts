/** Durations and sizes are strings with a unit, so that nobody has to know whether 10 means seconds or milliseconds. */

export const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;
export const DURATION_EXPECTED = 'a duration with its unit in quotes, such as "500ms", "10s" or "2m"';
const MILLISECONDS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

export const SIZE = /^(\d+)(B|kB|KB|KiB|MB|MiB)$/;
export const SIZE_EXPECTED = 'a size with its unit in quotes, such as "512B", "64KiB" or "1MB"';
const BYTES: Record<string, number> = { B: 1, kB: 1_000, KB: 1_000, KiB: 1_024, MB: 1_000_000, MiB: 1_048_576 };

export const RATE = /^([1-9]\d{0,6})\/(s|m|h)$/;
export const RATE_EXPECTED = 'a rate in quotes, such as "100/s" or "30/m"';

/** Milliseconds; NaN when the text is not a duration. */
export function parseDuration(text: string): number {
  const match = DURATION.exec(text);
  return match ? Math.round(Number(match[1]) * MILLISECONDS[match[2]!]!) : NaN;
}

/** `count` in each `perMs` milliseconds; undefined when the text is not a rate. */
export function parseRate(text: string): { readonly count: number; readonly perMs: number } | undefined {
  const match = RATE.exec(text);
  return match ? { count: Number(match[1]), perMs: MILLISECONDS[match[2]!]! } : undefined;
}

/** Bytes; NaN when the text is not a size. */
export function parseSize(text: string): number {
  const match = SIZE.exec(text);
  return match ? Number(match[1]) * BYTES[match[2]!]! : NaN;
}

/** How people write units, and what they mean by it here. */
const OTHER_UNITS: Readonly<Record<string, string>> = {
  msec: "ms", sec: "s", secs: "s", second: "s", seconds: "s", min: "m", mins: "m", minute: "m", minutes: "m", hr: "h", hrs: "h", hour: "h", hours: "h",
  k: "KiB", m: "MiB",
};
const SHAPES: Readonly<Record<string, readonly [form: RegExp, units: readonly string[], unless: string]>> = {
  [DURATION_EXPECTED]: [DURATION, Object.keys(MILLISECONDS), "s"],
  [SIZE_EXPECTED]: [SIZE, Object.keys(BYTES), "B"],
  [RATE_EXPECTED]: [RATE, ["s", "m", "h"], "s"],
};

/** The text as it was probably meant where one of the three was expected: a blank less, a unit in its own letters, the usual unit where there is none. */
export function nearestForm(text: string, expected: string): string | undefined {
  const [form, units, unless] = SHAPES[expected] ?? [];
  const [, number, given = ""] = /^\s*(\d+(?:\.\d+)?)[\s/]*([a-z]*)\s*$/i.exec(text) ?? [];
  if (form === undefined || number === undefined) return undefined;
  const unit = given.toLowerCase();
  const same = units?.find((each) => each.toLowerCase() === unit) ?? OTHER_UNITS[unit] ?? "";
  const meant = unit === "" ? unless : same;
  const written = `${number}${form === RATE ? "/" : ""}${meant}`;
  return form.test(written) ? written : undefined;
}
