import { printable } from "../../lib/text.ts";
import { authorityName } from "../../transport/certificates/authority_files.ts";
import { createKey, openSigningKey } from "../../transport/certificates/keys.ts";
import { DAYS, makeAuthority } from "../../transport/certificates/make.ts";
import { EXIT } from "../exit_codes.ts";
import type { Context } from "../prepare.ts";
import { reportAll } from "../report.ts";
import { commonNameProblem } from "./common_name.ts";
import { DAYS_MAX, readDays } from "./days.ts";
import { shellWord } from "./shell_word.ts";
import { tellMade } from "./tell.ts";
import { findPlace, writePair } from "./write_pair.ts";

/** `sluice cert ca`: an authority that signs what `cert server` and `cert client` make. */
export async function makeCa(context: Context): Promise<number> {
  const { runtime, line, reporter } = context;
  const machine = await runtime.system.machine();
  const given = line.options.get("name");
  const commonName = given?.values[0] ?? authorityName(machine);
  const problem = commonNameProblem(given?.spelling ?? "command line", commonName);
  if (problem) return reportAll(reporter, [problem]);
  const days = readDays(line, { usual: DAYS.authority, most: DAYS_MAX });
  if (typeof days !== "number") return reportAll(reporter, [days]);
  const place = await findPlace(context, "ca");
  if (place === undefined) return EXIT.usage;
  if (typeof (await machine.fileMode(place.certFile)) === "number") {
    reporter.warning(`what the authority in ${printable(place.certFile)} has signed is not trusted with the new one`);
  }
  const key = await openSigningKey(createKey().pem);
  if (key === undefined) throw new Error("a key that was made just now cannot sign");
  const pair = await makeAuthority({ commonName, key, days, now: runtime.system.wallClock() });
  const code = await writePair(context, place, pair);
  if (code !== EXIT.ok) return code;
  tellMade(context, place, pair.cert);
  reporter.line(`next: sluice cert server gateway.local --ca ${shellWord(place.certFile)}`);
  return EXIT.ok;
}
