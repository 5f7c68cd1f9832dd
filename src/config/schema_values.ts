import * as v from "valibot";
import { parseAddress, type Address } from "./address.ts";
import { DURATION, DURATION_EXPECTED, parseDuration, parseRate, parseSize, RATE, RATE_EXPECTED, SIZE, SIZE_EXPECTED } from "./units.ts";

/*
 * The kinds of values that the TOML file has. The messages are what was expected, in words that follow "expected".
 */

const HOUR = 3_600_000;
const MEBIBYTE = 1_048_576;

export const text = (title: string, description: string) =>
  v.pipe(v.string("text in quotes"), v.nonEmpty("text that is not empty"), v.title(title), v.description(description));

export const choice = <const Names extends readonly [string, ...string[]]>(names: Names, title: string, description: string) =>
  v.optional(v.pipe(v.picklist(names, `one of ${names.join(", ")}`), v.title(title), v.description(description)), names[0] as Names[number]);

export const wholeValue = (min: number, max: number, title: string, description: string) => {
  const expected = `a whole number from ${min} to ${max}`;
  return v.pipe(v.number(expected), v.integer(expected), v.minValue(min, expected), v.maxValue(max, expected), v.title(title), v.description(description));
};

export const whole = (min: number, max: number, fallback: number, title: string, description: string) => v.optional(wholeValue(min, max, title, description), fallback);

export const durationValue = (title: string, description: string, { hoursMax = 24 }: { readonly hoursMax?: number } = {}) =>
  v.pipe(
    v.string(DURATION_EXPECTED),
    v.regex(DURATION, DURATION_EXPECTED),
    v.title(title),
    v.description(description),
    v.check((value) => !(parseDuration(value) < 1), 'at least "1ms"'),
    v.check((value) => !(parseDuration(value) > hoursMax * HOUR), `at most "${hoursMax}h"`),
    v.transform(parseDuration),
  );

export const duration = (fallback: string, title: string, description: string) => v.optional(durationValue(title, description), fallback);

export const rateValue = (title: string, description: string) =>
  v.pipe(v.string(RATE_EXPECTED), v.regex(RATE, RATE_EXPECTED), v.title(title), v.description(description), v.transform((value) => parseRate(value)!));

export const size = (fallback: string, title: string, description: string) =>
  v.optional(
    v.pipe(
      v.string(SIZE_EXPECTED),
      v.regex(SIZE, SIZE_EXPECTED),
      v.title(title),
      v.description(description),
      v.check((value) => !(parseSize(value) < 16), 'at least "16B"'),
      v.check((value) => !(parseSize(value) > 256 * MEBIBYTE), 'at most "256MiB"'),
      v.transform(parseSize),
    ),
    fallback,
  );

/** A text that `read` understands, or says what it expected. */
export const parsed = <T extends object>(read: (text: string) => T | { readonly expected: string }, expected: string, title: string, description: string) =>
  v.pipe(
    v.string(expected),
    v.title(title),
    v.description(description),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const value = read(dataset.value);
      if (!("expected" in value)) return value as T;
      addIssue({ message: value.expected as string });
      return NEVER;
    }),
  );

export const address = (role: "listener" | "broker" | "forward proxy", title: string, description: string) =>
  parsed<Address>((text) => parseAddress(text, role), "a URL in quotes", title, description);

/** One text or a list of them; always a list afterwards. */
export const texts = (title: string, description: string) =>
  v.pipe(
    v.union([v.pipe(v.string(), v.nonEmpty()), v.pipe(v.array(v.pipe(v.string(), v.nonEmpty())), v.minLength(1))], "text in quotes, or a list of such"),
    v.title(title),
    v.description(description),
    v.transform((value): readonly string[] => (typeof value === "string" ? [value] : value)),
  );

export const section = <S extends v.GenericSchema>(schema: S, title: string, description: string) => v.pipe(schema, v.title(title), v.description(description));
