/** RFC 7468: what stands between the lines is base64; what is between the blocks is commentary. */
const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----/g;
const LINE_LENGTH = 64;

export interface PemBlock {
  /** Such as "CERTIFICATE". */
  readonly label: string;
  /** undefined: what stands there is no base64. */
  readonly der: Uint8Array | undefined;
}

export function readPem(text: string): PemBlock[] {
  return Array.from(text.matchAll(BLOCK), ([, label = "", body = ""]) => ({ label, der: decodeBase64(body) }));
}

/** OpenSSL's older names are certificates too; TRUSTED ones have something of its own behind them. */
export function isCertificateLabel(label: string): boolean {
  return label === "CERTIFICATE" || label === "X509 CERTIFICATE" || label === "TRUSTED CERTIFICATE";
}

export function writePem(label: string, der: Uint8Array): string {
  const body = btoa(Array.from(der, (byte) => String.fromCharCode(byte)).join(""));
  const lines = body.match(new RegExp(`.{1,${LINE_LENGTH}}`, "g")) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

function decodeBase64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(text.replace(/\s+/g, "")), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}
