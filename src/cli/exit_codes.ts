/** The numbers of sysexits.h, so that scripts and service managers can tell what to do. */
export const EXIT = {
  ok: 0,
  /** The command line is wrong. */
  usage: 64,
  /** A file that was named cannot be read. */
  noInput: 66,
  /** Sluice itself is wrong. */
  internal: 70,
  /** The operating system said no: a port that is taken. */
  system: 71,
  /** The configuration is wrong. */
  config: 78,
} as const;
