import type { Connection } from "../runtime/types.ts";

const NOTHING = new Uint8Array(0);

/** What waits for one side of a tunnel. Who takes a little of it now and then is slow, not stalled. */
export class Backlog {
  /** When the side was last seen to take something, on the wheel's clock; undefined: it keeps up. */
  #since: number | undefined = undefined;
  #waiting = 0;

  begin(connection: Connection, now: number): void {
    this.#since ??= now;
    this.#waiting = connection.bufferedBytes;
  }

  end(): void {
    this.#since = undefined;
  }

  /** For how many milliseconds it has taken nothing; undefined: it keeps up. */
  look(connection: Connection, now: number): number | undefined {
    if (this.#since === undefined) return undefined;
    connection.write(NOTHING); // asks the kernel again
    const waiting = connection.bufferedBytes;
    if (waiting < this.#waiting) this.#since = now;
    this.#waiting = waiting;
    return now - this.#since;
  }
}
