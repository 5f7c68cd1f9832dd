import { spawn } from "node:child_process";
import { connect, type Socket } from "node:net";

/** A listener that never accepts: its process stops the moment it listens. */
const DEAF = `
  const server = require("node:net").createServer();
  server.listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => {
    require("node:fs").writeSync(1, server.address().port + "\\n");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });`;

export interface BlackHole {
  readonly port: number;
  close(): void;
}

/** A port on loopback whose queue is full: what is sent to it is dropped, as by a firewall or a host that is off. */
export async function blackHole(): Promise<BlackHole> {
  const child = spawn("node", ["-e", DEAF], { stdio: ["ignore", "pipe", "inherit"] });
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.once("data", (chunk: Buffer) => resolve(Number(chunk.toString())));
    child.once("error", reject);
  });
  const fillers: Socket[] = [];
  // The kernel takes some more than the backlog says; the queue is full when one gets no answer for a while.
  for (let waiting = true; waiting; ) {
    const filler = connect({ host: "127.0.0.1", port });
    filler.on("error", () => {});
    fillers.push(filler);
    waiting = await new Promise<boolean>((resolve) => {
      filler.once("connect", () => resolve(true));
      setTimeout(() => resolve(false), 500);
    });
  }
  return {
    port,
    close() {
      child.kill("SIGKILL");
      for (const filler of fillers) filler.destroy();
    },
  };
}
