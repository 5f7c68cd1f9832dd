/** The text as one word of a POSIX shell, so that a line can be copied as it stands, whatever a name has in it. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
