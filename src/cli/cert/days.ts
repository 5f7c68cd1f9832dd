import { quote, type ConfigProblem } from "../../config/problem.ts";
import { usage, type CommandLine } from "../arguments.ts";

/** A hundred years, for authorities and devices: longer is a slip of the keyboard. */
export const DAYS_MAX = 36_500;

/** What --days says, from 1 to `most`, or else the usual number. */
export function readDays({ options }: CommandLine, { usual, most }: { readonly usual: number; readonly most: number }): number | ConfigProblem {
  const given = options.get("days");
  const [text] = given?.values ?? [];
  if (given === undefined || text === undefined) return usual;
  const days = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  return days >= 1 && days <= most ? days : usage(given.spelling, `cannot use ${quote(text)} as a number of days: expected a whole number from 1 to ${most}`);
}
