/**
 * What a runtime cannot do, found by these very cases. Whoever adds one says what was seen; the gap goes when the runtime
 * learns it, so try without it when a runtime is updated. Seen on Bun 1.4.5, Node 20.20 and Deno 2.9.
 */
export interface Gap {
  readonly case: RegExp;
  /** Absent: plain and TLS. */
  readonly secure?: boolean;
  readonly reason: string;
}

const rst = { case: /^RST while paused/, secure: true, reason: "node:tls cannot send the RST that this is about" };

const denoTls: readonly Gap[] = [
  rst,
  {
    case: /^pause and resume in quick turns|^fuzz:/,
    secure: true,
    reason: "node:tls of Deno loses a FIN that comes around a pause; the idle timeout has to end such a session",
  },
  { case: /\(crl\)$/, secure: true, reason: "Deno does not look at revocation lists, so they are refused" },
];

/** Of the adapter over `node:net`. */
export const netGaps: Readonly<Record<"bun" | "deno" | "node", readonly Gap[]>> = {
  bun: [rst],
  node: [rst, { case: /^RST while paused with unread/, reason: "Node does not poll a socket whose stream is full: it sees the RST at resume" }],
  deno: [{ case: /^RST while paused (closes|with)/, reason: "Deno does not poll a paused socket: it sees the RST at resume" }, ...denoTls],
};

/** Of the adapter that `#runtime` stands for. */
export const nativeGaps: typeof netGaps = {
  bun: [],
  node: netGaps.node,
  deno: [{ case: /^RST while paused with unread/, reason: "Deno reads nothing while paused: it sees the RST at resume" }, ...denoTls],
};
