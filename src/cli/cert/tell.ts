import { printable } from "../../lib/text.ts";
import { dateText } from "../../transport/certificates/date_text.ts";
import { readCertificate } from "../../transport/certificates/read.ts";
import type { Context } from "../prepare.ts";
import type { Written } from "./write_pair.ts";

/** Says what was made, for whom and until when. */
export function tellMade({ reporter }: Context, { certFile, keyFile }: Written, cert: string): void {
  const made = readCertificate(cert);
  if (made === undefined) return;
  const signer = made.isSelfIssued ? "" : `, signed by ${printable(made.issuer)}`;
  reporter.line(`made ${printable(certFile)} and ${printable(keyFile)} for ${printable(made.subject)}${signer}, good until ${dateText(made.notAfter)}`);
}
