import type { Connection } from "../runtime/types.ts";
import type { Session } from "./session.ts";

/** Bytes. A chunk of so many waits for nothing: its source is to be paused before the next one is read, when the other side is full. */
const LARGE = 16_384;
/** Bytes that wait for the end of a turn: more would not stay in the processor's cache, and a turn may bring thousands of chunks. */
const WAITING_MAX = 262_144;
/** Chunks. */
const AT_ONCE = 16;

/**
 * What the relay has read in one turn of the event loop, written when all that was there is read: to read a hundred messages and then to
 * write them costs a tenth less than to do both for each in turn (`bench/README.md`). Nothing overtakes: before a session does anything
 * else, what is here is written.
 */
export class WriteBatch {
  readonly #atEndOfTurn: (call: () => void) => void;
  readonly #endTurn: () => void;
  readonly #connections: (Connection | undefined)[] = [];
  readonly #chunks: (Uint8Array | undefined)[] = [];
  #count = 0;
  #bytes = 0;
  #written = 0;
  #isEndAwaited = false;
  /** Chunks of this turn that had to wait, also if they were written before its end. */
  #inTurn = 0;
  /** The last turn brought one chunk alone: so many are written at once, for to wait would cost more than it brings. */
  #atOnce = 0;

  /** `atEndOfTurn` calls, once, when what can be read now was read. */
  constructor(atEndOfTurn: (call: () => void) => void) {
    this.#atEndOfTurn = atEndOfTurn;
    this.#endTurn = () => {
      if (this.#inTurn === 1) this.#atOnce = AT_ONCE;
      this.#inTurn = 0;
      this.#isEndAwaited = false;
      this.flush();
    };
  }

  /** `connection`: one of a session. */
  add(connection: Connection, chunk: Uint8Array): void {
    if (this.#atOnce > 0) {
      this.#atOnce--;
      return write(connection, chunk);
    }
    this.#connections[this.#count] = connection;
    this.#chunks[this.#count] = chunk;
    this.#count++;
    this.#inTurn++;
    this.#bytes += chunk.length;
    if (chunk.length >= LARGE || this.#bytes > WAITING_MAX) this.flush();
    if (!this.#isEndAwaited) this.#awaitEnd();
  }

  #awaitEnd(): void {
    this.#isEndAwaited = true;
    this.#atEndOfTurn(this.#endTurn);
  }

  /** Keeps the order also if a write should lead to another flush. */
  flush(): void {
    while (this.#written < this.#count) {
      const index = this.#written++;
      const connection = this.#connections[index] as Connection;
      const chunk = this.#chunks[index] as Uint8Array;
      this.#connections[index] = undefined;
      this.#chunks[index] = undefined;
      write(connection, chunk);
    }
    this.#written = 0;
    this.#count = 0;
    this.#bytes = 0;
  }
}

function write(connection: Connection, chunk: Uint8Array): void {
  const session = connection.owner as Session;
  try {
    if (!connection.write(chunk)) session.stalled(connection === session.client ? "client" : "broker");
  } catch (thrown) {
    session.abort(thrown);
  }
}
