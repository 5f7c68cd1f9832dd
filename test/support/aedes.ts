import { createServer, type AddressInfo, type Socket } from "node:net";
import { Aedes } from "aedes";
import type { TestScope } from "./process.ts";

/** An aedes on a free port, which ends with the test. */
export async function startAedes(t: TestScope): Promise<{ port: number }> {
  const aedes = await Aedes.createBroker();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    aedes.handle(socket);
  });
  await new Promise<void>((ready) => server.listen({ host: "127.0.0.1", port: 0 }, ready));
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((done) => aedes.close(done));
    await new Promise<void>((done) => void server.close(() => done()));
  });
  return server.address() as AddressInfo;
}
