import type { SocketHandler } from "bun";
import { isAddress } from "./address.ts";
import { BunConnection, type BunSocket } from "./bun_connection.ts";
import { lookUp } from "./bun_lookup.ts";
import { abandoned, accept, admitted } from "./handlers.ts";
import { listenOn, type Place } from "./listen_on.ts";
import type { AcceptHandler, Listener, ListenOptions, NetworkError } from "./types.ts";
import { socketFiles } from "./unix_path_bun.ts";

/** What every socket does once it has its connection; one object of functions for all of them. */
export const connectionHandlers = {
  data: (socket: BunSocket, chunk: Uint8Array) => socket.data.onData(chunk),
  drain: (socket: BunSocket) => socket.data?.onDrain(),
  end: (socket: BunSocket) => socket.data?.onEnd(),
  // A socket without a connection was turned away.
  close: (socket: BunSocket, error?: Error) => socket.data?.onClose(error),
  error: (socket: BunSocket, error: Error) => socket.data?.onError(error),
} satisfies SocketHandler<BunConnection>;

/** Rejects with a NetworkError value. */
export async function listenOnBun(options: ListenOptions, handler: AcceptHandler): Promise<Listener> {
  const handshakes = options.tls === undefined ? undefined : new Handshakes(options.handshakeTimeoutMs, handler);
  const socket = handshakes?.handlers ?? plainHandlers(handler);
  // TLS 1.2 is Bun's own minimum (a test holds it to that); the option for it is not documented.
  const tls = options.tls && { cert: options.tls.cert, key: options.tls.key };
  const listener = await listenOn(options, socketFiles, (place) => bind(place, { allowHalfOpen: true, ...(tls && { tls }), socket }));
  return {
    port: portOf(listener),
    async close() {
      listener.stop(false);
      handshakes?.abandonAll({ code: "cancelled", message: "the listener was closed" });
    },
  };
}

type Options = Omit<Bun.TCPSocketListenOptions<BunConnection>, "hostname" | "port">;

function bind(place: Place, options: Options): Bun.SocketListener<BunConnection> | Promise<never> {
  if ("hostname" in place) return bindToHost(place, options);
  // `fd` is not in the types.
  return Bun.listen({ ...options, ...("path" in place ? { unix: place.path } : place) } as unknown as Bun.UnixSocketOptions<BunConnection>);
}

function bindToHost(place: { hostname: string; port: number }, options: Options): Bun.SocketListener<BunConnection> | Promise<never> {
  try {
    return Bun.listen({ ...options, ...place });
  } catch (thrown) {
    if (isAddress(place.hostname)) throw thrown;
    // Of a name without an address Bun says only that it failed.
    return lookUp(place.hostname).then(() => Promise.reject(thrown));
  }
}

/** Of a descriptor Bun tells it only through `getsockname`, which is not in the types. 0: a unix socket. */
function portOf(listener: Bun.SocketListener<BunConnection>): number {
  const name: { port?: number } = {};
  (listener as unknown as { getsockname(into: object): void }).getsockname(name);
  return name.port ?? 0;
}

/** The executable starts with a compiler that waits long, which keeps a quiet proxy small; from so many connections on it is a busy one. */
const BUSY_AFTER = 64;
let connections = 0;

/** When descriptors run out Bun's accept spins; the layer above keeps the process below its limit, so nothing is done here. */
function letIn(handler: AcceptHandler, socket: BunSocket): boolean {
  if (++connections === BUSY_AFTER) Bun.unsafe.setJITPolicy(1);
  if (admitted(handler)) return true;
  socket.terminate();
  return false;
}

function plainHandlers(handler: AcceptHandler): SocketHandler<BunConnection> {
  return {
    ...connectionHandlers,
    open(socket) {
      if (!letIn(handler, socket)) return;
      socket.data = new BunConnection(socket);
      accept(handler, socket.data);
    },
  };
}

/**
 * The TLS handshakes that are under way on one listener. Bun has no deadline for them. They all have the same one, so
 * they stand here in the order in which they expire, and one timer, set for the first, serves all.
 */
class Handshakes {
  readonly handlers: SocketHandler<BunConnection>;
  readonly #timeoutMs: number;
  readonly #handler: AcceptHandler;
  readonly #deadlines = new Map<BunConnection, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(timeoutMs: number, handler: AcceptHandler) {
    this.#timeoutMs = timeoutMs;
    this.#handler = handler;
    this.handlers = {
      ...connectionHandlers,
      open: (socket) => this.#begin(socket),
      handshake: (socket, success, error) => this.#finish(socket, success, error),
      close: (socket, error) => this.#close(socket, error),
    };
  }

  abandonAll(reason: NetworkError): void {
    clearTimeout(this.#timer);
    for (const connection of this.#deadlines.keys()) this.#abandon(connection, reason);
  }

  #begin(socket: BunSocket): void {
    if (!letIn(this.#handler, socket)) return;
    const connection = new BunConnection(socket);
    socket.data = connection;
    this.#deadlines.set(connection, performance.now() + this.#timeoutMs);
    this.#timer ??= this.#expireIn(this.#timeoutMs);
  }

  #finish(socket: BunSocket, success: boolean, error: Error | null): void {
    const connection = socket.data;
    if (!success) {
      // `close` follows, and tells.
      if (error !== null) connection.onError(error);
      return;
    }
    // `success` comes with an error as well, about the client certificate that nobody asked for.
    if (this.#deadlines.delete(connection)) accept(this.#handler, connection);
  }

  #close(socket: BunSocket, error: Error | undefined): void {
    const connection = socket.data;
    if (connection === undefined) return;
    if (this.#deadlines.has(connection)) this.#abandon(connection, connection.closeReason(error));
    else connection.onClose(error);
  }

  #abandon(connection: BunConnection, reason: NetworkError): void {
    this.#deadlines.delete(connection);
    connection.discard();
    abandoned(this.#handler, connection.remoteAddress, reason);
  }

  #expireIn(ms: number): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => this.#expire(), ms);
    timer.unref();
    return timer;
  }

  #expire(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [connection, deadline] of this.#deadlines) {
      if (deadline > now) {
        this.#timer = this.#expireIn(deadline - now);
        return;
      }
      this.#abandon(connection, { code: "timeout", message: "the TLS handshake took too long" });
    }
  }
}
