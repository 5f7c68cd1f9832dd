import { resolve } from "node:path";
import { printable } from "../../lib/text.ts";
import type { Lifetime } from "../../transport/certificates/make.ts";
import type { PemPair } from "../../transport/certificates/pair.ts";
import type { Signer } from "../../transport/certificates/signer.ts";
import { EXIT } from "../exit_codes.ts";
import type { Context } from "../prepare.ts";
import { reportAll } from "../report.ts";
import { openAuthority } from "./authority.ts";
import { readDays } from "./days.ts";
import { shellWord } from "./shell_word.ts";
import { tellMade } from "./tell.ts";
import { fileNameOf, findPlace, writePair } from "./write_pair.ts";

/** What the lines to copy are made from: the files are words of a shell. */
export interface Made {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** The authority is this host's own, which `--tls auto` uses. */
  readonly isLocal: boolean;
}

export interface Issue {
  /** What the files are called after. */
  readonly name: string;
  readonly days: { readonly usual: number; readonly most: number };
  make(signer: Signer, lifetime: Lifetime): Promise<PemPair>;
  hints(made: Made): readonly string[];
}

/** From the authority to the files and what to do with them; answers with the exit code. */
export async function issue(context: Context, { name, days: limits, make, hints }: Issue): Promise<number> {
  const { runtime, line, reporter } = context;
  const days = readDays(line, limits);
  if (typeof days !== "number") return reportAll(reporter, [days]);
  const place = await findPlace(context, fileNameOf(name));
  if (place === undefined) return EXIT.usage;
  const authority = await openAuthority(context);
  if (typeof authority === "number") return authority;
  const { caFile, keyFile, signer, isLocal } = authority;
  // With --force it would replace the very authority that signs.
  const own = [caFile, keyFile].map((file) => resolve(file));
  const clash = [place.certFile, place.keyFile].find((file) => own.includes(resolve(file)));
  if (clash !== undefined) {
    reporter.problem({ place: "command line", reason: `cannot write "${printable(clash)}": it is that of the authority`, suggestion: "choose another directory with --out" });
    return EXIT.usage;
  }
  const pair = await make(signer, { days, now: runtime.system.wallClock() });
  const code = await writePair(context, place, pair);
  if (code !== EXIT.ok) return code;
  tellMade(context, place, pair.cert);
  for (const hint of hints({ ca: shellWord(caFile), cert: shellWord(place.certFile), key: shellWord(place.keyFile), isLocal })) reporter.line(hint);
  return EXIT.ok;
}
