import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { generate, parser, type IConnectPacket, type Packet } from "mqtt-packet";
import type { TestScope } from "./process.ts";

interface Options {
  readonly at: "connect" | "any_time";
  readonly to: string;
}

/**
 * A broker of MQTT 5 in a cluster that tells its clients where to go (section 4.11), as those of some vendors do. `at: "connect"`: it takes
 * nobody; `at: "any_time"`: it serves its clients until it is told to move them.
 */
export class RedirectingBroker {
  readonly port: number;
  readonly versions: number[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #options: Options;

  private constructor(server: Server, options: Options) {
    this.#server = server;
    this.#options = options;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (socket) => this.#serve(socket));
  }

  static async start(t: TestScope, options: Options): Promise<RedirectingBroker> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port: 0 }, resolve));
    const broker = new RedirectingBroker(server, options);
    t.after(() => broker.stop());
    return broker;
  }

  /** Sends all its clients to the other server. */
  moveAll(): void {
    for (const socket of this.#sockets) {
      socket.end(generate({ cmd: "disconnect", reasonCode: 0x9d, properties: { serverReference: this.#options.to } } as Packet, { protocolVersion: 5 }));
    }
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {});
    let version = 5;
    const packets = parser();
    packets.on("packet", (packet: Packet) => {
      if (packet.cmd === "connect") version = packet.protocolVersion ?? 4;
      this.#answer(packet, version, (answer) => void socket.write(generate(answer, { protocolVersion: version })), () => socket.end());
    });
    socket.on("data", (chunk) => packets.parse(chunk));
  }

  #answer(packet: Packet, version: number, send: (packet: Packet) => void, end: () => void): void {
    if (packet.cmd === "connect") return this.#welcome(packet, version, send, end);
    if (packet.cmd === "pingreq") send({ cmd: "pingresp" });
    if (packet.cmd === "subscribe") send({ cmd: "suback", messageId: packet.messageId!, granted: packet.subscriptions.map(() => 0) });
    if (packet.cmd === "publish" && packet.qos === 1) send({ cmd: "puback", messageId: packet.messageId! });
    if (packet.cmd === "disconnect") end();
  }

  #welcome({ protocolVersion }: IConnectPacket, version: number, send: (packet: Packet) => void, end: () => void): void {
    this.versions.push(protocolVersion ?? 4);
    const { at, to } = this.#options;
    if (at === "any_time") return send({ cmd: "connack", sessionPresent: false, returnCode: 0, reasonCode: 0 });
    if (version === 5) send({ cmd: "connack", sessionPresent: false, reasonCode: 0x9c, properties: { serverReference: to } } as Packet);
    else send({ cmd: "connack", sessionPresent: false, returnCode: 3 });
    end();
  }
}
