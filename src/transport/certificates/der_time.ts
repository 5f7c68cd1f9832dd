import { TAG, type DerValue } from "./der.ts";

/** RFC 5280 section 4.1.2.5: with seconds, in UTC, and nothing else. */
const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const TEXT_BYTES_MAX = 15;

/** Milliseconds since 1970; undefined for what is no such time, such as a 30th of February. */
export function readDerTime(value: DerValue | undefined): number | undefined {
  if (value === undefined || value.contents.length > TEXT_BYTES_MAX) return undefined;
  const text = String.fromCharCode(...value.contents);
  const parts = value.tag === TAG.utcTime ? UTC_TIME.exec(text) : value.tag === TAG.generalizedTime ? GENERALIZED_TIME.exec(text) : undefined;
  if (!parts) return undefined;
  const [given = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1).map(Number);
  const year = value.tag === TAG.generalizedTime ? given : given + (given < 50 ? 2000 : 1900);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day); // Date.UTC would take year 99 for 1999
  date.setUTCHours(hour, minute, second);
  const isReal = date.getUTCMonth() === month - 1 && date.getUTCDate() === day && hour < 24 && minute < 60 && second < 60;
  return isReal ? date.getTime() : undefined;
}
