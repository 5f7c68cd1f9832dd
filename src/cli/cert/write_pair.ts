import { join } from "node:path";
import { printable } from "../../lib/text.ts";
import type { Machine } from "../../runtime/types.ts";
import { CERTIFICATE_MODE, KEY_MODE } from "../../transport/certificates/files.ts";
import type { PemPair } from "../../transport/certificates/pair.ts";
import { EXIT } from "../exit_codes.ts";
import type { Context } from "../prepare.ts";

/** Private keys lie in it. */
const DIRECTORY_MODE = 0o700;
const FILE_NAME_LENGTH_MAX = 64;

export interface Written {
  readonly certFile: string;
  readonly keyFile: string;
}

/** A file name for a certificate's name: of any text, one that is no path, no flag and not hidden. */
export function fileNameOf(name: string): string {
  const plain = name.replace(/^\*\./, "wildcard.").replace(/[^\w.@-]/g, "_").replace(/^[.-]/, "_");
  return plain.slice(0, FILE_NAME_LENGTH_MAX);
}

/** Where the pair goes under --out; undefined, and it was told why, when something is there and --force is not given. */
export async function findPlace({ runtime, line, reporter }: Context, fileName: string): Promise<Written | undefined> {
  const out = line.options.get("out")?.values[0] ?? "";
  const machine = await runtime.system.machine();
  const place = { certFile: join(out, `${fileName}.pem`), keyFile: join(out, `${fileName}.key`) };
  if (line.options.has("force")) return place;
  for (const file of [place.certFile, place.keyFile]) {
    if (typeof (await machine.fileMode(file)) !== "number") continue;
    const suggestion = "choose another directory with --out, or overwrite it with --force";
    reporter.problem({ place: "command line", reason: `cannot write "${printable(file)}": it exists already`, suggestion });
    return undefined;
  }
  return place;
}

/** Writes both, tells their names on stdout, and answers with the exit code. */
export async function writePair(context: Context, place: Written, pair: PemPair): Promise<number> {
  const { runtime, line, reporter } = context;
  const machine = await runtime.system.machine();
  const out = line.options.get("out")?.values[0];
  const refused = out === undefined ? undefined : await machine.makeDirectory(out, DIRECTORY_MODE);
  if (refused) {
    reporter.problem({ place: "--out", reason: `cannot make the directory "${printable(out ?? "")}": ${refused.message}`, suggestion: undefined });
    return EXIT.system;
  }
  const replace = line.options.has("force");
  const files = [[place.keyFile, pair.key, KEY_MODE], [place.certFile, pair.cert, CERTIFICATE_MODE]] as const;
  for (const [file, text, mode] of files) if (!(await written(context, machine, file, text, { mode, replace }))) return EXIT.system;
  runtime.system.writeOut(place.certFile);
  runtime.system.writeOut(place.keyFile);
  return EXIT.ok;
}

async function written({ reporter }: Context, machine: Machine, file: string, text: string, options: { mode: number; replace: boolean }): Promise<boolean> {
  const error = await machine.writeFile(file, text, options);
  if (error) reporter.problem({ place: "command line", reason: `cannot write "${printable(file)}": ${error.message}`, suggestion: undefined });
  return error === undefined;
}
