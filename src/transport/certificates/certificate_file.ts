import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { readDerValue, TAG } from "./der.ts";
import { keyTypeText } from "./key_type.ts";
import { isCertificateLabel, readPem } from "./pem.ts";
import { readDetails, type Certificate } from "./read.ts";

/** What is in a file that somebody wants to see. */
export interface CertificateFile {
  readonly certificates: readonly Certificate[];
  /** Their kinds alone, such as `EC P-256` or `encrypted`. */
  readonly privateKeys: readonly string[];
  /** The labels of other PEM blocks. */
  readonly others: readonly string[];
  /** How many certificates cannot be read. */
  readonly unreadable: number;
}

/** Reads PEM text, or DER: one certificate or one private key. Never throws. */
export function readCertificateFile(bytes: Uint8Array): CertificateFile {
  return bytes[0] === TAG.sequence ? readDerFile(bytes) : readPemFile(new TextDecoder().decode(bytes));
}

function readDerFile(bytes: Uint8Array): CertificateFile {
  const certificate = readDetails(bytes);
  if (certificate) return { certificates: [certificate], privateKeys: [], others: [], unreadable: 0 };
  for (const type of ["pkcs8", "sec1", "pkcs1"] as const) {
    const kind = keyKind(() => createPrivateKey({ key: Buffer.from(bytes), format: "der", type }));
    if (kind !== undefined) return { certificates: [], privateKeys: [kind], others: [], unreadable: 0 };
  }
  return { certificates: [], privateKeys: [], others: [], unreadable: 0 };
}

function readPemFile(text: string): CertificateFile {
  const blocks = readPem(text);
  const read = blocks.filter(({ label }) => isCertificateLabel(label)).map(({ der }) => der && readDetails(der));
  // Not from the blocks: old encrypted keys have headers in them.
  const keys = text.match(/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z0-9 ]*PRIVATE KEY-----/g) ?? [];
  return {
    certificates: read.filter((certificate) => certificate !== undefined),
    privateKeys: keys.map((key) => keyKind(() => createPrivateKey(key)) ?? (/ENCRYPTED/.test(key) ? "encrypted" : "of an unknown kind")),
    others: blocks.map(({ label }) => label).filter((label) => !isCertificateLabel(label) && !label.endsWith("PRIVATE KEY") && label !== "EC PARAMETERS"),
    unreadable: read.filter((certificate) => certificate === undefined).length,
  };
}

function keyKind(open: () => KeyObject): string | undefined {
  try {
    const value = readDerValue(new Uint8Array(createPublicKey(open()).export({ type: "spki", format: "der" })));
    return value && keyTypeText(value);
  } catch {
    return undefined;
  }
}
