import type { TimerWheel } from "../../lib/timer_wheel.ts";

/** What the WebSocket connections of one listener, or of one pool, have in common. */
export type WebSocketSettings = SharedSettings & (ServerSettings | ClientSettings);

interface SharedSettings {
  /** For peers that have to be sent away. */
  readonly wheel: TimerWheel;
  /**
   * Bytes of payload in one frame; a longer one is refused with 1009. Absent: 2^53 - 1, and nothing is lost by it, for payload is passed on
   * as it comes and never put together.
   */
  readonly frameSizeMax?: number;
  /** The proxy is about to stop: from now on `end` says 1001 (going away) instead of 1000. */
  isStopping?: boolean;
}

interface ServerSettings {
  readonly role: "server";
}

interface ClientSettings {
  readonly role: "client";
  /** The key for the next frame, any 32 bits: see `randomWords`. */
  readonly maskingKey: () => number;
}
