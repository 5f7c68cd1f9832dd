import type { OptionName } from "../options.ts";

export interface Subcommand {
  readonly usage: string;
  readonly help: string;
  readonly positionalsMin: number;
  readonly positionalsMax: number;
  readonly options: readonly OptionName[];
}

/** What `sluice cert` can do. The help and the refusals come from here. */
export const SUBCOMMANDS = {
  ca: { usage: "ca [options]", help: "an authority of your own: ca.pem and ca.key", positionalsMin: 0, positionalsMax: 0, options: ["out", "name", "days", "force", "color"] },
  server: { usage: "server [options] <name|address> ...", help: "a certificate for a server, for all of these names", positionalsMin: 1, positionalsMax: Infinity, options: ["out", "ca", "days", "force", "color"] },
  client: { usage: "client [options] <common name> [name ...]", help: "a certificate for a device, known by its common name", positionalsMin: 1, positionalsMax: Infinity, options: ["out", "ca", "days", "force", "color"] },
  inspect: { usage: "inspect <file> ...", help: "whose certificates these are, who signed them, until when", positionalsMin: 1, positionalsMax: Infinity, options: ["color"] },
} as const satisfies Record<string, Subcommand>;

export type SubcommandName = keyof typeof SUBCOMMANDS;

export function isSubcommand(word: string): word is SubcommandName {
  return Object.hasOwn(SUBCOMMANDS, word);
}
