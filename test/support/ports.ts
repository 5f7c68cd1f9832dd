import { createServer } from "node:net";

/**
 * A port of the loopback address that nobody had a moment ago. Somebody may take it before its user binds it, so only
 * programs that cannot be asked to bind port 0 get one, and whoever starts them tries again on a clash.
 */
export function freePort(host = "127.0.0.1"): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen({ host, port: 0 }, () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === "string") reject(new Error("find a free port: no address was given"));
        else resolve(address.port);
      });
    });
  });
}

/** Different free ports: they are held together until all are known. */
export async function freePorts(count: number, host = "127.0.0.1"): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.on("error", reject);
          server.listen({ host, port: 0 }, () => resolve((server.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
  return ports;
}
