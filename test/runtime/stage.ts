import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** What the client sends goes through here. */
export type Pass = (chunk: Buffer, send: (bytes: Uint8Array) => void) => void;

export interface Stage {
  readonly port: number;
  close(): Promise<void>;
}

/** A relay before a port, with a `Pass` of its own for each client; what the server sends goes straight back. */
export async function stageBefore(port: number, passFor: () => Pass): Promise<Stage> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const pass = passFor();
    const broker = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    const send = (bytes: Uint8Array): void => void broker.write(bytes);
    client.on("data", (chunk: Buffer) => pass(chunk, send));
    client.on("end", () => broker.end());
    broker.on("data", (chunk: Buffer) => client.write(chunk));
    broker.on("end", () => client.end());
    endTogether(client, broker);
  });
  await new Promise<void>((resolve) => server.listen({ port: 0, host: "127.0.0.1" }, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function endTogether(...sockets: readonly Socket[]): void {
  for (const socket of sockets) {
    socket.on("error", () => {});
    socket.on("close", () => sockets.forEach((other) => other.destroy()));
  }
}

/** Cuts what passes into pieces of so many bytes, each sent in a turn of its own. */
export function slicing(size: number): Pass {
  let waiting = Buffer.alloc(0);
  let isSending = false;
  return (chunk, send) => {
    waiting = Buffer.concat([waiting, chunk]);
    if (isSending) return;
    isSending = true;
    const next = (): void => {
      send(waiting.subarray(0, size));
      waiting = waiting.subarray(size);
      isSending = waiting.length > 0;
      if (isSending) setImmediate(next);
    };
    next();
  };
}

/** Lets the first chunk pass, a ClientHello, and gathers so many bytes of what follows before they go out as one. */
export function gathering(size: number): Pass {
  let hello = true;
  let gathered: Buffer[] = [];
  return (chunk, send) => {
    if (hello) {
      hello = false;
      send(chunk);
      return;
    }
    gathered.push(chunk);
    const all = Buffer.concat(gathered);
    if (all.length < size) return;
    size = 0;
    gathered = [];
    send(all);
  };
}
