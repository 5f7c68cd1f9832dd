import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Below the ports that a kernel gives by itself (Linux from 32768, others from 49152): no connection and no listener on port 0 has one by chance. */
const FIRST = 20_000;
const COUNT = 12_000;

const given = new Set<number>();

/**
 * A port of the loopback address that nobody had a moment ago, and that this process has not asked for before. Another process may take
 * it before its user binds it, so it is for programs that cannot be asked to bind port 0, which are started again on a clash, and for ports
 * on which nobody shall listen.
 */
export async function freePort(host = "127.0.0.1"): Promise<number> {
  for (;;) {
    const port = FIRST + randomInt(COUNT);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port, host)) return port;
  }
}

/** Different free ports. */
export function freePorts(count: number, host = "127.0.0.1"): Promise<number[]> {
  return Promise.all(Array.from({ length: count }, () => freePort(host)));
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", ({ code }: NodeJS.ErrnoException) => (code === "EADDRINUSE" || code === "EACCES" ? resolve(false) : reject(new Error(`find a free port: ${code}`))));
    server.listen({ host, port }, () => server.close(() => resolve(true)));
  });
}
