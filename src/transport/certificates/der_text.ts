import { TAG, type DerValue } from "./der.ts";

/** Longer ones are dropped: they are kept for the whole session. No name that anybody uses comes near. */
const TEXT_BYTES_MAX = 2048;

const PRINTABLE_ASCII = /^[\x20-\x7e]+$/;
/** Controls, and what breaks a line: such a text could forge a log line, or be cut at its NUL by somebody else. */
const CONTROLS = /[\p{Cc}\p{Cs}\u2028\u2029]/u;

/**
 * A text of one of the kinds that X.520 names have. undefined: another kind, too long, empty, not what its kind allows, or with
 * control characters in it.
 */
export function readDerText({ tag, contents }: DerValue): string | undefined {
  if (contents.length > TEXT_BYTES_MAX) return undefined;
  switch (tag) {
    case TAG.utf8String:
      return withoutControls(decodeUtf8(contents));
    case TAG.bmpString:
      return withoutControls(decodeUtf16(contents));
    case TAG.printableString:
    case TAG.ia5String:
    case TAG.numericString:
    case TAG.visibleString:
    case TAG.teletexString: // what its other characters mean, nobody agrees on
      return readAscii(contents);
    default:
      return undefined;
  }
}

/** Text of ASCII's printable characters alone, such as the names in a SubjectAltName (RFC 5280 section 4.2.1.6). */
export function readAscii(contents: Uint8Array): string | undefined {
  if (contents.length > TEXT_BYTES_MAX) return undefined;
  const text = String.fromCharCode(...contents);
  return PRINTABLE_ASCII.test(text) ? text : undefined;
}

function withoutControls(text: string | undefined): string | undefined {
  return text === undefined || text === "" || CONTROLS.test(text) ? undefined : text;
}

function decodeUtf8(contents: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(contents);
  } catch {
    return undefined;
  }
}

/** Big-endian; TextDecoder's utf-16be is not on every runtime. */
function decodeUtf16(contents: Uint8Array): string | undefined {
  if (contents.length % 2 !== 0) return undefined;
  let text = "";
  for (let at = 0; at < contents.length; at += 2) text += String.fromCharCode(contents[at]! * 256 + contents[at + 1]!);
  return text;
}
