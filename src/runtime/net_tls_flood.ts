import type { TLSSocket } from "node:tls";
import { transportOf } from "./net_tls.ts";

const LOOK_EVERY_MS = 1_000;
/** A record that carries one byte has 23 (RFC 8446 section 5.2): with less than this part of plaintext, most of them carry none. */
const BYTES_FOR_ONE_MAX = 32;
/** So many bytes of TLS that carry nothing, with no data in between: some 150 changes of keys. BoringSSL itself allows 32. */
const BARREN_BYTES_MAX = 4_096;

interface Watched {
  raw: number;
  plain: number;
  barren: number;
}

/**
 * Ends connections whose TLS brings no data again and again: OpenSSL follows a flood of KeyUpdates (RFC 8446 section 4.6.3) without end, and
 * keeps an answer to each for a peer that does not read. One look a second over all of them, and none while there are none.
 */
class FloodWatch {
  readonly #sockets = new Map<TLSSocket, Watched>();
  #timer: ReturnType<typeof setInterval> | undefined;

  add(socket: TLSSocket): void {
    const raw = transportOf(socket)?.bytesRead;
    if (raw === undefined) return;
    this.#sockets.set(socket, { raw, plain: socket.bytesRead, barren: 0 });
    socket.once("close", () => this.#remove(socket));
    this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  #remove(socket: TLSSocket): void {
    this.#sockets.delete(socket);
    if (this.#sockets.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    for (const [socket, seen] of this.#sockets) {
      const raw = transportOf(socket)?.bytesRead ?? seen.raw;
      const plain = socket.bytesRead;
      if (plain > seen.plain && raw - seen.raw <= (plain - seen.plain) * BYTES_FOR_ONE_MAX) seen.barren = 0;
      else seen.barren += raw - seen.raw;
      seen.raw = raw;
      seen.plain = plain;
      if (seen.barren > BARREN_BYTES_MAX) socket.destroy(new Error("too many key updates"));
    }
  }
}

const watch = new FloodWatch();

/** From the end of its handshake on. */
export function watchForFloods(socket: TLSSocket): void {
  watch.add(socket);
}
