/** The header fields of one head: a name may come more than once, and its case says nothing (RFC 9110 section 5). */
export class HttpFields {
  readonly #values = new Map<string, string[]>();

  /** Takes one header line; answers what is wrong with it, or undefined. */
  add(line: string): string | undefined {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0));
    // A space before the colon, or in front of all (a folded line), is no part of a token: RFC 9112 section 5.1 and 5.2.
    if (!isToken(name)) return "a line that is no header field";
    const key = name.toLowerCase();
    const value = trimmed(line.slice(colon + 1));
    const values = this.#values.get(key);
    if (values === undefined) this.#values.set(key, [value]);
    else values.push(value);
    return undefined;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** The value of a field that may stand there once; undefined: it does not, or more than once. */
  only(name: string): string | undefined {
    const values = this.#values.get(name);
    return values?.length === 1 ? values[0] : undefined;
  }

  /** The elements of a list (RFC 9110 section 5.6.1) over all lines of that name, in their order. */
  list(name: string): readonly string[] {
    const values = this.#values.get(name);
    return values === undefined ? [] : values.join(",").split(",").map(trimmed);
  }

  /** Whether the list has this element, in any case. */
  lists(name: string, element: string): boolean {
    return this.list(name).some((one) => one.toLowerCase() === element);
  }
}

/** RFC 9110 section 5.6.2. One class of characters and no alternatives: the time is linear. */
export function isToken(text: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text);
}

/** Without the spaces and tabs around it; `trim` would take other characters as well. */
function trimmed(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
