import type { SocketHandler } from "bun";
import { isAddress } from "./address.ts";
import { BunConnection, type BunSocket } from "./bun_connection.ts";
import { connectionCame } from "./bun_engine.ts";
import { lookUp } from "./bun_lookup.ts";
import { accept, admitted } from "./handlers.ts";
import { listenOn, type Place } from "./listen_on.ts";
import type { AcceptHandler, Listener, ListenOptions } from "./types.ts";
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

/** Plain: TLS is begun on what was accepted. Rejects with a NetworkError value. */
export async function listenOnBun(options: ListenOptions, handler: AcceptHandler): Promise<Listener> {
  const socket = handlersFor(handler);
  const listener = await listenOn(options, socketFiles, (place) => bind(place, { allowHalfOpen: true, socket }));
  return {
    port: portOf(listener),
    async close() {
      listener.stop(false);
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

/** When descriptors run out Bun's accept spins; the layer above keeps the process below its limit, so nothing is done here. */
function letIn(handler: AcceptHandler, socket: BunSocket): boolean {
  connectionCame();
  if (admitted(handler)) return true;
  socket.terminate();
  return false;
}

function handlersFor(handler: AcceptHandler): SocketHandler<BunConnection> {
  return {
    ...connectionHandlers,
    open(socket) {
      if (!letIn(handler, socket)) return;
      socket.data = new BunConnection(socket);
      accept(handler, socket.data);
    },
  };
}
