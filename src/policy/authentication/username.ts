/** MQTT counts the bytes of a string in 16 bits (MQTT 5 section 1.5.4). */
const BYTES_MAX = 65_535;
/** U+0000 is forbidden in MQTT [MQTT-1.5.4-2]; other controls, invisible marks and halves of pairs have no business in a name. */
const UNFIT = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

/**
 * Whether a text from a token, a certificate or a service can be somebody's name. What MQTT would not carry is none, and neither is
 * what a log line or a header would take for something else. Compared it is always exactly, and never as a pattern.
 */
export function isUsername(text: unknown): text is string {
  return typeof text === "string" && text !== "" && !UNFIT.test(text) && Buffer.byteLength(text) <= BYTES_MAX;
}
