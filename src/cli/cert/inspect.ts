import { printable } from "../../lib/text.ts";
import { readCertificateFile } from "../../transport/certificates/certificate_file.ts";
import { dateText } from "../../transport/certificates/date_text.ts";
import { fingerprintOf } from "../../transport/certificates/facts.ts";
import { warnOfReaders } from "../../transport/certificates/files.ts";
import { chainProblems } from "../../transport/certificates/pair.ts";
import type { Certificate } from "../../transport/certificates/read.ts";
import { EXIT } from "../exit_codes.ts";
import type { Context } from "../prepare.ts";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** `sluice cert inspect <file> ...`: facts on stdout; what is odd, and what cannot be read, on stderr. */
export async function inspect(context: Context, files: readonly string[]): Promise<number> {
  let code: number = EXIT.ok;
  for (const file of files) if (!(await inspectFile(context, file))) code = EXIT.noInput;
  return code;
}

async function inspectFile({ runtime, reporter }: Context, file: string): Promise<boolean> {
  const { system } = runtime;
  const name = printable(file);
  const bytes = await system.readFile(file);
  const refuse = (reason: string): false => {
    reporter.problem({ place: name, reason, suggestion: undefined });
    return false;
  };
  if (!(bytes instanceof Uint8Array)) return refuse(`cannot read it: ${bytes.message}`);
  const { certificates, privateKeys, others, unreadable } = readCertificateFile(bytes);
  for (const [index, certificate] of certificates.entries()) {
    system.writeOut(certificates.length === 1 ? name : `${name}, certificate ${index + 1} of ${certificates.length}`);
    for (const [label, text] of describe(certificate, system.wallClock())) system.writeOut(`  ${label.padEnd(11)}  ${text}`);
  }
  for (const kind of privateKeys) system.writeOut(`${name}: a private key, ${kind}; it is not shown`);
  for (const label of others) system.writeOut(`${name}: ${JSON.stringify(label)} as PEM text; it is not shown`);
  if (privateKeys.length > 0) for (const warning of await warnOfReaders(await system.machine(), file)) reporter.warning(printable(warning));
  // Several authorities in one file are a list, not a chain.
  const [chain] = certificates[0]?.isSelfIssued ? [] : chainProblems(certificates);
  if (chain) reporter.warning(`${name}: ${chain.reason}: ${chain.suggestion}`);
  if (unreadable > 0) return refuse("a certificate in it cannot be read");
  return certificates.length + privateKeys.length + others.length > 0 || refuse("expected a certificate, as PEM or DER");
}

function describe(certificate: Certificate, now: number): [label: string, text: string][] {
  const { subject, issuer, isSelfIssued, isAuthority, names, keyType, notBefore, notAfter, fields } = certificate;
  const all = [...names.dns.map((name) => `DNS ${name}`), ...names.ip.map((name) => `IP ${name}`), ...names.email.map((name) => `e-mail ${name}`), ...names.uri.map((name) => `URI ${name}`)];
  return [
    ["subject", printable(subject) || "(empty)"],
    ["issuer", isSelfIssued ? "itself" : printable(issuer) || "(empty)"],
    ["names", all.map(printable).join(", ") || "none"],
    ["key", keyType],
    ["valid", `${dateText(notBefore)} to ${dateText(notAfter)}, ${leftText(notBefore, notAfter, now)}`],
    ["fingerprint", `SHA-256 ${fingerprintOf(fields.der)}`],
    ["authority", isAuthority ? "yes: it may sign others" : "no"],
  ];
}

function leftText(notBefore: number, notAfter: number, now: number): string {
  if (notBefore > now) return `not before ${durationText(notBefore - now)} from now`;
  return notAfter < now ? `expired ${durationText(now - notAfter)} ago` : `${durationText(notAfter - now)} left`;
}

function durationText(milliseconds: number): string {
  const [count, unit] = milliseconds < 2 * DAY_MS ? [Math.floor(milliseconds / HOUR_MS), "hour"] : [Math.floor(milliseconds / DAY_MS), "day"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
