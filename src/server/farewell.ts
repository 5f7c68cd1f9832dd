import type { Connection, ConnectionHandler } from "../runtime/types.ts";

/** How long a broker may keep its side open behind our end, in milliseconds. Nearly all close at once; some never do. */
const CLOSE_MS = 2_000;

/**
 * Ends a connection to a broker behind what was written on it, and resets it where the broker does not close as well. Not at once: a reset
 * may overtake the DISCONNECT. What the broker still says is dropped. The connection must not be closed yet; `gone` is called when it is.
 */
export function partFrom(connection: Connection, gone: () => void = () => {}): void {
  const timer = setTimeout(() => connection.reset(), CLOSE_MS); // not the wheel: that stands still when the last client has left
  (timer as { unref?: () => void }).unref?.();
  connection.owner = () => {
    clearTimeout(timer);
    gone();
  };
  connection.handler = PARTING;
  connection.end();
}

const PARTING: ConnectionHandler = {
  data: () => {},
  drain: () => {},
  end: () => {},
  close: (connection) => (connection.owner as () => void)(),
};
