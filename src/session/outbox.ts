import type { Connection } from "../runtime/types.ts";
import type { Session } from "./session.ts";

/** Bytes. A chunk of so many waits for nothing: its source is to be paused before the next one is read, when the other side is full. */
const LARGE = 16_384;
/** Bytes that wait for the end of a turn: more would not stay in the processor's cache, and a turn may bring thousands of chunks. */
const WAITING_MAX = 262_144;
/** Bytes that a chunk takes beside its own. */
const CHUNK = 64;
/** Chunks. */
const AT_ONCE = 16;

/**
 * What all sessions have to say to the network because of what was read in one turn of the event loop, said when all that was there is
 * read: bytes, in the order in which they came, then dials, ends and resets in theirs. To do it for each in turn costs a tenth more for a
 * message, and a fifth more for a client that comes and goes: each time somebody else would be woken (`bench/README.md`).
 * Who waits for bytes gets them first, and works while the rest is done.
 */
export class Outbox {
  readonly #atEndOfTurn: (call: () => void) => void;
  readonly #endTurn: () => void;
  readonly #connections: (Connection | undefined)[] = [];
  readonly #chunks: (Uint8Array | undefined)[] = [];
  #count = 0;
  #bytes = 0;
  #written = 0;
  /** What follows the bytes, and of which connection. */
  #acts: Act[] = [];
  #subjects: Connection[] = [];
  /** What had to wait in this turn, also if it was written before its end. Its first awaits the end. */
  #inTurn = 0;
  /** The last turn brought one thing alone: so many chunks are written at once, for to wait would cost more than it brings. */
  #atOnce = 0;

  /** `atEndOfTurn` calls, once, when what can be read now was read. */
  constructor(atEndOfTurn: (call: () => void) => void) {
    this.#atEndOfTurn = atEndOfTurn;
    this.#endTurn = () => {
      if (this.#inTurn === 1) this.#atOnce = AT_ONCE;
      this.#inTurn = 0;
      this.#flush();
      this.#act();
    };
  }

  /** `connection`: as everywhere here, one of a session. */
  write(connection: Connection, chunk: Uint8Array): void {
    if (this.#atOnce > 0) {
      this.#atOnce--;
      return write(connection, chunk);
    }
    this.#connections[this.#count] = connection;
    this.#chunks[this.#count] = chunk;
    this.#count++;
    this.#bytes += chunk.length + CHUNK;
    this.#awaitEnd();
    if (chunk.length >= LARGE || this.#bytes > WAITING_MAX) this.#flush();
  }

  /** The session dials the broker that it has chosen by then, if it still wants one. */
  dial({ client }: Session): void {
    this.#then(dial, client);
  }

  end(connection: Connection): void {
    this.#then(end, connection);
  }

  reset(connection: Connection): void {
    this.#then(reset, connection);
  }

  #then(act: Act, connection: Connection): void {
    this.#acts.push(act);
    this.#subjects.push(connection);
    this.#awaitEnd();
  }

  #awaitEnd(): void {
    if (this.#inTurn++ === 0) this.#atEndOfTurn(this.#endTurn);
  }

  /** Keeps the order also if a write should lead to another flush. */
  #flush(): void {
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

  #act(): void {
    if (this.#acts.length === 0) return;
    const [acts, subjects] = [this.#acts, this.#subjects];
    this.#acts = [];
    this.#subjects = [];
    for (const [index, act] of acts.entries()) {
      const connection = subjects[index] as Connection;
      try {
        act(connection);
      } catch (thrown) {
        (connection.owner as Session).abort(thrown);
      }
    }
  }
}

type Act = (connection: Connection) => void;
const dial: Act = (client) => (client.owner as Session).dial();
const end: Act = (connection) => connection.end();
const reset: Act = (connection) => connection.reset();

function write(connection: Connection, chunk: Uint8Array): void {
  const session = connection.owner as Session;
  try {
    if (!connection.write(chunk)) session.stalled(connection);
  } catch (thrown) {
    session.abort(thrown);
  }
}
