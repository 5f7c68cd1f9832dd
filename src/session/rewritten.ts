import type { Connect } from "../mqtt/connect.ts";
import type { Fault } from "../mqtt/fault.ts";

/** What a rule has made of a client's CONNECT; lives as long as that is kept. */
export interface Rewritten {
  /** What every broker that is tried gets. */
  readonly connect: Connect;
  /** The broker's CONNACK, which readConnack took, with what the client must learn of the changes; or why it cannot be told. */
  connack(frame: Uint8Array): Uint8Array | Fault;
}
