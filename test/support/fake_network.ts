import type { Connection, ConnectionHandler, NetworkError } from "../../src/runtime/types.ts";
import type { SeededRandom } from "./seed.ts";

/** Virtual time: nothing happens but what was scheduled, in the order of its moment. */
export class VirtualTime {
  now = 0;
  #queue: { at: number; order: number; run: () => void }[] = [];
  #order = 0;

  after(milliseconds: number, run: () => void): void {
    const entry = { at: this.now + milliseconds, order: this.#order++, run };
    let index = this.#queue.length;
    while (index > 0 && isLater(this.#queue[index - 1]!, entry)) index--;
    this.#queue.splice(index, 0, entry);
  }

  /** Runs all that is due until `end`; answers how many events that were. */
  runUntil(end: number): number {
    let count = 0;
    for (let next = this.#queue[0]; next !== undefined && next.at <= end; next = this.#queue[0]) {
      this.#queue.shift();
      this.now = next.at;
      next.run();
      count++;
    }
    this.now = end;
    return count;
  }
}

function isLater(a: { at: number; order: number }, b: { at: number; order: number }): boolean {
  return a.at > b.at || (a.at === b.at && a.order > b.order);
}

/** What the far end of a fake connection does with what it sees. */
export interface Peer {
  data(bytes: Uint8Array): void;
  end(): void;
  /** The connection is gone; true: by a reset. */
  closed(byReset: boolean): void;
}

/**
 * A connection without a socket, kept to the runtime layer's contract: chunks of any size, a window that fills when the peer does not
 * read, one drain after each refused write, FIN and RST in both directions, `close` once and last.
 */
export class FakeConnection implements Connection {
  handler!: ConnectionHandler;
  owner: unknown;
  readonly remoteAddress: string;
  readonly remotePort: number;
  peer!: Peer;
  isClosed = false;
  readonly #time: VirtualTime;
  readonly #random: SeededRandom;
  #toPeer: Uint8Array[] = [];
  #waiting = 0;
  #owesDrain = false;
  #peerReads = true;
  #paused = false;
  #inbox: Uint8Array[] = [];
  #peerEnded = false;
  #endSeen = false;
  #ended = false;
  #finSent = false;
  #isReset = false;
  readonly #window: number;

  constructor(time: VirtualTime, random: SeededRandom, address: string, port: number) {
    this.#window = random.pick([0, 100, 4_096, 65_536]);
    this.#time = time;
    this.#random = random;
    this.remoteAddress = address;
    this.remotePort = port;
  }

  get bufferedBytes(): number {
    return this.#waiting;
  }

  write(chunk: Uint8Array): boolean {
    if (this.isClosed || this.#ended || this.#isReset) return true;
    if (chunk.length > 0) this.#toPeer.push(chunk);
    this.#waiting += chunk.length;
    this.#soon(() => this.#flush());
    if (this.#waiting <= this.#window) return true;
    this.#owesDrain = true;
    return false;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#soon(() => this.#deliver());
  }

  end(): void {
    if (this.isClosed || this.#ended || this.#isReset) return;
    this.#ended = true;
    this.#soon(() => this.#flush());
  }

  reset(): void {
    if (this.isClosed) return;
    this.#isReset = true;
    this.#soon(() => this.#close(undefined, true));
  }

  setKeepAlive(): void {}

  /** From here on: what the peer does. */
  peerSend(bytes: Uint8Array): void {
    const cuts = [0, ...this.#random.cuts(bytes.length, 3), bytes.length];
    for (let index = 1; index < cuts.length; index++) {
      const piece = bytes.slice(cuts[index - 1], cuts[index]);
      this.#inbox.push(piece);
    }
    this.#soon(() => this.#deliver());
  }

  peerEnd(): void {
    this.#peerEnded = true;
    this.#soon(() => this.#deliver());
  }

  peerReset(): void {
    this.#soon(() => this.#close({ code: "reset", message: "the peer reset the connection" }, false));
  }

  peerReads(reads: boolean): void {
    this.#peerReads = reads;
    this.#soon(() => this.#flush());
  }

  #soon(run: () => void): void {
    this.#time.after(this.#random.integer(0, 5), () => {
      if (!this.isClosed) run();
    });
  }

  #flush(): void {
    if (!this.#peerReads || this.#isReset) return;
    const pieces = this.#toPeer;
    this.#toPeer = [];
    this.#waiting = 0;
    for (const piece of pieces) this.peer.data(piece);
    if (this.#owesDrain) {
      this.#owesDrain = false;
      this.handler.drain(this);
    }
    if (!this.#ended || this.#finSent || this.#waiting > 0) return;
    this.#finSent = true;
    this.peer.end();
    if (this.#endSeen) this.#close(undefined, false);
  }

  #deliver(): void {
    while (!this.#paused && !this.isClosed && !this.#isReset) {
      const piece = this.#inbox.shift();
      if (piece === undefined) break;
      this.handler.data(this, piece);
    }
    if (this.#paused || this.isClosed || this.#isReset || !this.#peerEnded || this.#inbox.length > 0 || this.#endSeen) return;
    this.#endSeen = true;
    this.handler.end(this);
    if (this.#finSent) this.#close(undefined, false);
  }

  #close(error: NetworkError | undefined, byUs: boolean): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.handler.close(this, error);
    this.peer.closed(byUs);
  }
}
