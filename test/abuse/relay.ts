import { createServer, connect, type AddressInfo, type Server, type Socket } from "node:net";
import * as m from "../support/mqtt_bytes.ts";
import type { TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";

/** Stands in front of the proxy and passes bytes on, so that the test can do below TLS what TLS would never do. */
export class Relay {
  readonly port: number;
  /** Towards the proxy, in the order in which clients came. */
  readonly ways: RawClient[] = [];
  readonly #first: Uint8Array;
  readonly #to: number;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, to: number, first: Uint8Array) {
    this.port = (server.address() as AddressInfo).port;
    this.#to = to;
    this.#first = first;
    server.on("connection", (client) => this.#accept(client));
  }

  /** `first` is put before each client's first chunk, in one segment with it. */
  static async start(scope: TestScope, to: number, first: Uint8Array = new Uint8Array(0)): Promise<Relay> {
    const server = createServer({ noDelay: true, allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port: 0 }, resolve));
    const relay = new Relay(server, to, first);
    scope.after(async () => {
      for (const socket of relay.#sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    });
    return relay;
  }

  #accept(client: Socket): void {
    const proxy = connect({ host: "127.0.0.1", port: this.#to, noDelay: true, allowHalfOpen: true });
    for (const socket of [client, proxy]) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.#sockets.delete(socket));
    }
    let isFirst = true;
    client.on("data", (chunk: Uint8Array) => {
      proxy.write(isFirst ? m.bytes(this.#first, chunk) : chunk);
      isFirst = false;
    });
    proxy.on("data", (chunk: Uint8Array) => client.write(chunk));
    client.on("end", () => proxy.end());
    proxy.on("end", () => client.end());
    client.on("close", () => proxy.destroy());
    proxy.on("close", () => client.destroySoon());
    this.ways.push(RawClient.adopt(proxy));
  }
}
