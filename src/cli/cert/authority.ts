import { printable } from "../../lib/text.ts";
import { ensureAuthorityFiles } from "../../transport/certificates/authority_files.ts";
import { warnOfReaders } from "../../transport/certificates/files.ts";
import type { PemPair } from "../../transport/certificates/pair.ts";
import { openSigner, type Signer } from "../../transport/certificates/signer.ts";
import { stateDirectory } from "../../transport/certificates/state_directory.ts";
import { EXIT } from "../exit_codes.ts";
import type { Context } from "../prepare.ts";
import type { Problem } from "../report.ts";

export interface Authority {
  readonly signer: Signer;
  readonly caFile: string;
  readonly keyFile: string;
  /** It is this host's own. */
  readonly isLocal: boolean;
}

/** Why there is none. */
interface Refusal {
  readonly problem: Problem;
  readonly exit: number;
}

interface Found {
  readonly caFile: string;
  readonly keyFile: string;
  readonly pair: PemPair;
}

/**
 * The authority that signs: the one that --ca names, or that of this host, which `--tls auto` uses too and which is made when there is none.
 * Otherwise it has been told why not, and this is the exit code.
 */
export async function openAuthority(context: Context): Promise<Authority | number> {
  const { runtime, line, reporter } = context;
  const { system } = runtime;
  const place = line.options.has("ca") ? "--ca" : "command line";
  const given = line.options.get("ca")?.values[0];
  const found = given === undefined ? await findLocal(context) : await findGiven(context, given);
  if ("exit" in found) {
    reporter.problem(found.problem);
    return found.exit;
  }
  const { caFile, keyFile, pair } = found;
  const signer = await openSigner(pair, system.wallClock());
  if ("reason" in signer) {
    reporter.problem({ place, reason: `cannot sign with "${printable(signer.about === "key" ? keyFile : caFile)}": ${signer.reason}`, suggestion: undefined });
    return EXIT.config;
  }
  for (const warning of await warnOfReaders(await system.machine(), keyFile)) reporter.warning(printable(warning));
  return { signer, caFile, keyFile, isLocal: given === undefined };
}

/** `ca.pem`, or without the ending; the key beside it is `ca.key`. */
async function findGiven({ runtime }: Context, given: string): Promise<Found | Refusal> {
  const base = given.replace(/\.(?:pem|crt|cer)$/i, "");
  const caFile = base === given ? `${given}.pem` : given;
  const keyFile = `${base}.key`;
  const texts: string[] = [];
  for (const file of [caFile, keyFile]) {
    const bytes = await runtime.system.readFile(file);
    if (!(bytes instanceof Uint8Array)) {
      return { problem: { place: "--ca", reason: `cannot read "${printable(file)}": ${bytes.message}`, suggestion: 'expected the two files of an authority, such as "ca.pem" and "ca.key": "sluice cert ca" makes them' }, exit: EXIT.noInput };
    }
    texts.push(new TextDecoder().decode(bytes));
  }
  return { caFile, keyFile, pair: { cert: texts[0] ?? "", key: texts[1] ?? "" } };
}

async function findLocal({ runtime, reporter }: Context): Promise<Found | Refusal> {
  const { system } = runtime;
  const refuse = (reason: string, suggestion?: string): Refusal => ({ problem: { place: "command line", reason, suggestion }, exit: EXIT.system });
  const directory = await stateDirectory(system);
  if (directory === undefined) return refuse("cannot tell where this host's authority is: there is no home directory", "name another with --ca, or set STATE_DIRECTORY");
  const found = await ensureAuthorityFiles(system, directory);
  if ("reason" in found) return refuse(found.reason, found.suggestion);
  const { caFile, keyFile, cert, key, created } = found;
  if (key === undefined) return refuse(`the authority's key "${printable(keyFile)}" is missing`, "name another authority with --ca");
  if (created) reporter.line(`made an authority for this host, which "--tls auto" uses too: ${printable(caFile)}`);
  if (!created && typeof (await (await system.machine()).fileMode("ca.pem")) === "number") {
    reporter.warning(`signing with ${printable(caFile)}, not with the ca.pem in this directory: that one would be --ca ca.pem`);
  }
  return { caFile, keyFile, pair: { cert, key } };
}
