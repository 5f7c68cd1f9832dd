import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { within } from "./deadline.ts";
import type { TestScope } from "./process.ts";
import { RawClient } from "./raw_client.ts";

const DEADLINE_MS = 5_000;

/** A broker that knows nothing of MQTT: the test says what it answers, byte for byte. */
export class RawBroker {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #waiting: RawClient[] = [];
  #takers: ((connection: RawClient) => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (socket) => this.#connected(socket));
  }

  static async start(scope: TestScope): Promise<RawBroker> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: "127.0.0.1", port: 0 }, resolve);
    });
    const broker = new RawBroker(server);
    scope.after(() => broker.stop());
    return broker;
  }

  /** The next connection that said something: whoever only looks whether the port answers is no client. */
  accept(milliseconds = DEADLINE_MS): Promise<RawClient> {
    const ready = this.#waiting.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    const next = new Promise<RawClient>((resolve) => this.#takers.push(resolve));
    return within(milliseconds, next, "a connection at the broker");
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #connected(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    const connection = RawClient.adopt(socket);
    socket.once("data", () => {
      const taker = this.#takers.shift();
      if (taker === undefined) this.#waiting.push(connection);
      else taker(connection);
    });
  }
}
