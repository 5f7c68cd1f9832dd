import { UNIX_PEER } from "./address.ts";
import { DenoConnection, type DenoConn } from "./deno_connection.ts";
import { accept, admitted } from "./handlers.ts";
import { listenOn } from "./listen_on.ts";
import type { AcceptHandler, Listener, ListenOptions } from "./types.ts";
import { socketFiles } from "./unix_path_node.ts";

interface DenoListener {
  /** A unix socket has no port. */
  readonly addr: { readonly port?: number };
  accept(): Promise<DenoConn>;
  close(): void;
}

/** What is used of the `Deno` namespace. */
const { Deno } = globalThis as unknown as {
  Deno: { listen(options: object): DenoListener };
};

/** How long to leave the accept queue alone after accepting failed, as it does when no descriptor is left. */
const ACCEPT_AGAIN_MS = 50;

/** Plain TCP, or a unix socket; on a descriptor Deno cannot listen. Rejects with a NetworkError value. */
export async function listenOnDeno(options: ListenOptions, handler: AcceptHandler): Promise<Listener> {
  const listener = await listenOn(options, socketFiles, (place) => Deno.listen("path" in place ? { transport: "unix", ...place } : place));
  const state = { closed: false };
  const accepting = acceptAll(listener, handler, state);
  return {
    port: listener.addr.port ?? UNIX_PEER.remotePort,
    async close() {
      if (!state.closed) {
        state.closed = true;
        listener.close();
      }
      // The port is free when the accept that was under way has come back.
      await accepting;
    },
  };
}

async function acceptAll(listener: DenoListener, handler: AcceptHandler, state: { readonly closed: boolean }): Promise<void> {
  while (!state.closed) {
    try {
      const conn = await listener.accept();
      if (state.closed || !admitted(handler)) conn.close();
      else begin(handler, new DenoConnection(conn));
    } catch {
      if (!state.closed) await new Promise((resolve) => setTimeout(resolve, ACCEPT_AGAIN_MS));
    }
  }
}

function begin(handler: AcceptHandler, connection: DenoConnection): void {
  accept(handler, connection);
  connection.start();
}
