/**
 * Whether the whole text fits a pattern in which `*` stands for any characters, none too, and `?` for exactly one; everything else
 * stands for itself. Nothing is remembered but the last `*`, so the time is at most the product of both lengths: linear in the
 * text, whatever it holds.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  let at = 0;
  let next = 0;
  /** Behind the last `*`, and the place in the text up to which it reaches. */
  let star = -1;
  let reach = 0;
  while (at < text.length) {
    const wanted = pattern[next];
    if (wanted === "*") {
      star = ++next;
      reach = at;
    } else if (wanted === "?") {
      at += widthAt(text, at);
      next++;
    } else if (wanted !== undefined && wanted === text[at]) {
      at++;
      next++;
    } else if (star >= 0) {
      reach += widthAt(text, reach);
      at = reach;
      next = star;
    } else {
      return false;
    }
  }
  while (pattern[next] === "*") next++;
  return next === pattern.length;
}

/** A character outside the Basic Multilingual Plane is two UTF-16 units, and still one character. */
function widthAt(text: string, at: number): number {
  return (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
}
