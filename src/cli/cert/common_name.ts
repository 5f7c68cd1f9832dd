import { quote, type ConfigProblem } from "../../config/problem.ts";
import { COMMON_NAME_LENGTH_MAX } from "../../transport/certificates/make.ts";
import { usage } from "../arguments.ts";

/** Why it cannot be a common name; undefined: it can. Whoever reads it back must get the same, and so nothing that is not to be seen is in it. */
export function commonNameProblem(place: string, name: string): ConfigProblem | undefined {
  if (name.trim() === "") return usage(place, `cannot use ${quote(name)} as a common name: expected some text`);
  if ([...name].length > COMMON_NAME_LENGTH_MAX) return usage(place, `cannot use ${quote(name)} as a common name: expected at most ${COMMON_NAME_LENGTH_MAX} characters`);
  return /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(name) ? usage(place, `cannot use ${quote(name)} as a common name: expected no control characters`) : undefined;
}
