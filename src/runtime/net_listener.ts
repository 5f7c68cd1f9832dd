import { createServer, type AddressInfo, type Server } from "node:net";
import { UNIX_PEER } from "./address.ts";
import { accept, admitted } from "./handlers.ts";
import { listenOn, type Place } from "./listen_on.ts";
import { NetConnection } from "./net_connection.ts";
import type { AcceptHandler, Listener, ListenOptions } from "./types.ts";
import { socketFiles } from "./unix_path_node.ts";

/** Plain: TLS is begun on what was accepted. Rejects with a NetworkError value. */
export async function listenOnNet(options: ListenOptions, handler: AcceptHandler): Promise<Listener> {
  // A new one for each attempt, because a server that failed to listen is of no more use.
  const server = await listenOn(options, socketFiles, async (place) => {
    const server = serverFor(handler);
    await listening(server, place);
    return server;
  });
  return {
    port: portOf(server) ?? UNIX_PEER.remotePort,
    async close() {
      server.close();
    },
  };
}

function serverFor(handler: AcceptHandler): Server {
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    if (!admitted(handler)) socket.destroy();
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
