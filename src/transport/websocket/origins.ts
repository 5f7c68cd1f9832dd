/**
 * Whether a page from this origin (RFC 6454 section 6.2) may connect. The allowed ones are in lower case, `scheme://host[:port]`, or with
 * `*.` in front of the host for everything below it (and not the host itself).
 */
export function isOriginAllowed(origin: string, allowed: readonly string[]): boolean {
  const lower = origin.toLowerCase();
  return allowed.some((one) => (one.includes("://*.") ? isBelow(lower, one) : lower === one));
}

function isBelow(origin: string, pattern: string): boolean {
  const star = pattern.indexOf("*");
  const [before, behind] = [pattern.slice(0, star), pattern.slice(star + 1)];
  if (!origin.startsWith(before) || !origin.endsWith(behind)) return false;
  // At least one character for the star, and only such as host names have: no port, no user and no second scheme hide in it.
  return /^[0-9a-z._-]+$/.test(origin.slice(before.length, origin.length - behind.length));
}
