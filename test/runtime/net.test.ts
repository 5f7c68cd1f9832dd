import { runtime } from "../../src/runtime/net.ts";
import { conformance, type Gap } from "./conformance.ts";

const NO_RST = { case: /^RST while paused|^write to a paused connection that was reset/, secure: true, reason: "node:tls sends no RST" };

/** Seen on Node 20.20, Deno 2.9 and Bun 1.4.5. */
const GAPS: Record<typeof runtime.name, readonly Gap[]> = {
  bun: [NO_RST],
  node: [
    NO_RST,
    { case: /^RST while paused with unread data/, reason: "Node does not look at a socket whose stream is full, so it sees the RST at resume" },
  ],
  deno: [
    NO_RST,
    { case: /^RST while paused|^write to a paused/, reason: "Deno does not look at a paused socket, so it sees the RST at resume" },
    { case: /^pause and resume in quick turns|^fuzz: byte-exact/, secure: true, reason: "node:tls of Deno 2.9 loses a FIN that comes around a pause" },
    { case: /^listen: (a key that|what is not PEM)/, secure: true, reason: "Deno looks at certificate and key at the first handshake; the configuration's check finds it" },
  ],
};

conformance("the node:net adapter", runtime, GAPS[runtime.name]);
