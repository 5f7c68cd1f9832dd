import { createServer, connect, type AddressInfo, type Socket } from "node:net";
import * as m from "../support/mqtt_bytes.ts";
import type { TestScope } from "../support/process.ts";

/** Stands in front of the proxy, puts these bytes before each client's first chunk, in one segment with it, and passes on the rest. Answers its port. */
export async function startRelay(scope: TestScope, to: number, first: Uint8Array): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    const proxy = connect({ host: "127.0.0.1", port: to, noDelay: true, allowHalfOpen: true });
    for (const socket of [client, proxy]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
    }
    let isFirst = true;
    client.on("data", (chunk: Uint8Array) => {
      proxy.write(isFirst ? m.bytes(first, chunk) : chunk);
      isFirst = false;
    });
    proxy.on("data", (chunk: Uint8Array) => client.write(chunk));
    client.on("end", () => proxy.end());
    proxy.on("end", () => client.end());
    client.on("close", () => proxy.destroy());
    proxy.on("close", () => client.destroySoon());
  });
  await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port: 0 }, resolve));
  scope.after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return (server.address() as AddressInfo).port;
}
