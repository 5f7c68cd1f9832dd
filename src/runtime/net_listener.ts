import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { plainAddress, UNIX_PEER } from "./address.ts";
import { abandoned, accept, admitted } from "./handlers.ts";
import { listenOn, type Place } from "./listen_on.ts";
import { NetConnection } from "./net_connection.ts";
import { networkError } from "./network_error.ts";
import type { AcceptHandler, Listener, ListenOptions, NetworkError, ServerTls } from "./types.ts";
import { socketFiles } from "./unix_path_node.ts";

/** Rejects with a NetworkError value. */
export async function listenOnNet(options: ListenOptions, handler: AcceptHandler): Promise<Listener> {
  // A new one for each attempt, because a server that failed to listen is of no more use.
  let handshakes: Handshakes | undefined;
  const server = await listenOn(options, socketFiles, async (place) => {
    handshakes = options.tls && new Handshakes(options.tls, options.handshakeTimeoutMs, handler);
    const server = serverFor(handler, handshakes);
    await listening(server, place);
    return server;
  });
  return {
    port: portOf(server) ?? UNIX_PEER.remotePort,
    async close() {
      server.close();
      handshakes?.abandonAll();
    },
  };
}

function serverFor(handler: AcceptHandler, handshakes: Handshakes | undefined): Server {
  // A FIN during a handshake ends it at once; half-open is switched on when it is done.
  const server = createServer({ noDelay: true, allowHalfOpen: handshakes === undefined }, (socket) => {
    if (!admitted(handler)) socket.destroy();
    else if (handshakes !== undefined) handshakes.begin(socket);
    else begin(handler, new NetConnection(socket, portOf(server) === undefined ? UNIX_PEER : undefined));
  });
  return server;
}

/** undefined: a unix socket. */
function portOf(server: Server): number | undefined {
  // A path, or nothing, or an empty object on Bun.
  return (server.address() as Partial<AddressInfo> | null)?.port;
}

function listening(server: Server, place: Place): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen("hostname" in place ? { host: place.hostname, port: place.port } : place, () => {
      server.removeListener("error", reject);
      // An accept that fails (no descriptor left) is not the end of the listener.
      server.on("error", () => {});
      resolve();
    });
  });
}

function begin(handler: AcceptHandler, connection: NetConnection): void {
  accept(handler, connection);
  connection.start();
}

/**
 * The TLS handshakes that are under way on one listener. The TCP server hands its sockets to a TLS server that never
 * listens: so `admit` comes first, and a PROXY header can be read before TLS one day.
 */
class Handshakes {
  readonly #handler: AcceptHandler;
  readonly #server: Server;
  /** The peer's address of each, because a closed socket has forgotten it. */
  readonly #pending = new Map<Socket, string>();

  constructor(tls: ServerTls, timeoutMs: number, handler: AcceptHandler) {
    this.#handler = handler;
    const server = createTlsServer({ cert: tls.cert, key: tls.key, minVersion: "TLSv1.2", handshakeTimeout: timeoutMs });
    server.on("secureConnection", (socket) => this.#finish(socket));
    server.on("tlsClientError", (error, socket) => {
      // Without this a socket whose handshake took too long stays open.
      socket.destroy();
      this.#abandon(transportOf(socket), networkError("TLS handshake", error));
    });
    this.#server = server;
  }

  begin(transport: Socket): void {
    this.#pending.set(transport, plainAddress(transport.remoteAddress ?? ""));
    transport.on("error", () => {});
    transport.on("close", () => {
      this.#abandon(transport, { code: "reset", message: "TLS handshake: closed by the peer before the end" });
    });
    this.#server.emit("connection", transport);
  }

  abandonAll(): void {
    for (const transport of this.#pending.keys()) {
      this.#abandon(transport, { code: "cancelled", message: "TLS handshake: the listener was closed" });
      transport.destroy();
    }
  }

  #finish(socket: TLSSocket): void {
    const transport = transportOf(socket);
    if (transport === undefined || !this.#pending.delete(transport)) {
      socket.destroy();
      return;
    }
    socket.allowHalfOpen = true;
    begin(this.#handler, new NetConnection(socket));
  }

  #abandon(transport: Socket | undefined, reason: NetworkError): void {
    const address = transport && this.#pending.get(transport);
    if (transport === undefined || address === undefined) return;
    this.#pending.delete(transport);
    abandoned(this.#handler, address, reason);
  }
}

/** The TCP socket under a TLS one. The property is not documented; all three runtimes have it, and the tests hold them to it. */
function transportOf(socket: TLSSocket): Socket | undefined {
  return (socket as unknown as { _parent?: Socket })._parent;
}
