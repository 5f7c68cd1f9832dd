import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { Aedes, PublishPacket } from "aedes";
import { acceptMqtt5 } from "./mqtt5.ts";

/** Called for each message that a client publishes here. */
export type OnMessage = (broker: DemoBroker, clientId: string, packet: PublishPacket) => void;

/** A broker inside this process, on a port of the loopback address. */
export class DemoBroker {
  readonly name: string;
  /** A free one is taken at the first start, and kept. */
  port = 0;
  /** What it saw so far, for the demo's last line. */
  messages = 0;
  connections = 0;
  readonly #aedes: Aedes;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined = undefined;

  private constructor(name: string, aedes: Aedes) {
    this.name = name;
    this.#aedes = aedes;
  }

  static async start(name: string, onMessage: OnMessage): Promise<DemoBroker> {
    const { Aedes } = await import("aedes");
    const aedes = await Aedes.createBroker();
    const broker = new DemoBroker(name, aedes);
    // Without a client it is the broker's own word or a copy. Those are not passed on, so nothing goes round in circles.
    aedes.on("publish", (packet, client) => void (client && onMessage(broker, client.id, packet)));
    await broker.resume();
    return broker;
  }

  /** `127.0.0.1:port`, which is also what sluice calls it. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Takes a message of the other broker, also while stopped: as one that catches up when it is back. */
  copy({ topic, payload, qos, retain }: PublishPacket): void {
    this.#aedes.publish({ cmd: "publish", dup: false, topic, payload, qos, retain }, () => {});
  }

  /** Leaves its clients and its port from one moment to the next, as a broker that crashed. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => void (this.#server?.close(() => resolve()) ?? resolve()));
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async resume(): Promise<void> {
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      this.#aedes.handle(acceptMqtt5(socket));
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject).listen({ host: "127.0.0.1", port: this.port }, resolve);
    });
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    await this.stop();
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
  }
}
