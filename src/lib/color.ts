/** Where text goes, as far as the choice of colours depends on it. */
export interface Destination {
  readonly isTerminal: boolean;
  env(name: string): string | undefined;
}

/** auto: colours on a terminal; NO_COLOR and FORCE_COLOR overrule it (no-color.org, force-color.org). */
export function wantsColor(setting: "auto" | "always" | "never", to: Destination): boolean {
  if (setting !== "auto") return setting === "always";
  if (to.env("NO_COLOR")) return false;
  const force = to.env("FORCE_COLOR");
  if (force) return force !== "0" && force !== "false";
  return to.isTerminal && to.env("TERM") !== "dumb";
}

const STYLES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
export type Style = keyof typeof STYLES;
export type Paint = (style: Style, text: string) => string;

export function createPaint(color: boolean): Paint {
  return color ? (style, text) => `\x1b[${STYLES[style]}m${text}\x1b[0m` : (_style, text) => text;
}
