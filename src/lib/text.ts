const CHARACTERS_MAX = 256;
/** Read no further than this: a client id can be 64 KiB long, and only its beginning is shown. */
const CHARACTERS_READ_MAX = 4 * CHARACTERS_MAX;

/** CSI and OSC sequences as terminals read them, 7-bit and 8-bit, ended or not, and the short escapes. */
const ESCAPE_SEQUENCE =
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]/g;
const LINE_BREAK_OR_TAB = /[\t\n\v\f\r\u0085\u2028\u2029]+/g;
/** Controls, format characters (all bidi marks and overrides are among them) and halves of surrogate pairs. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}]/gu;

/** The text as it may stand in a log line or on a terminal: one line, nothing that moves the cursor or the reading order, 256 characters at most. */
export function printable(text: string): string {
  if (text.length <= CHARACTERS_MAX && !/[^\x20-\x7e]/.test(text)) return text;
  const cleaned = text
    .slice(0, CHARACTERS_READ_MAX)
    .replace(ESCAPE_SEQUENCE, "")
    .replace(LINE_BREAK_OR_TAB, " ")
    .replace(INVISIBLE, "");
  if (cleaned.length <= CHARACTERS_MAX && text.length <= CHARACTERS_READ_MAX) return cleaned;
  // A pair cut in the middle would leave half a character.
  return cleaned.slice(0, CHARACTERS_MAX - 1).replace(/[\ud800-\udbff]$/, "") + "…";
}
