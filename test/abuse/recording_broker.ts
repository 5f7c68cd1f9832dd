import { createServer as createTcpServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { ByteQueue } from "../support/byte_queue.ts";
import * as m from "../support/mqtt_bytes.ts";
import { Watch } from "../support/watch.ts";

export interface Behaviour {
  /** A connection came; nothing was read yet. */
  readonly opened?: (connection: BrokerConnection) => void;
  /** What to do with each whole packet. Default: `answer`. */
  readonly packet?: (connection: BrokerConnection, packet: m.RawPacket) => void;
  /** The peer's FIN. Default: close as well. */
  readonly ended?: (connection: BrokerConnection) => void;
}

const DEADLINE_MS = 5_000;

/** One connection at the broker, and every byte that came on it. */
export class BrokerConnection {
  readonly socket: Socket;
  readonly #watch = new Watch();
  readonly #record: ByteQueue | undefined;
  readonly #unread = new ByteQueue();
  readonly #behaviour: Behaviour;
  receivedTotal = 0;
  /** Whole packets so far. */
  packets = 0;
  ending: "open" | "fin" | "reset" = "open";
  isClosed = false;
  /** Of the CONNECT that it heard. */
  version: m.Version = 4;
  clientId = "";
  #readable = true;

  constructor(socket: Socket, behaviour: Behaviour, records: boolean) {
    this.socket = socket;
    this.#behaviour = behaviour;
    this.#record = records ? new ByteQueue() : undefined;
    socket.on("data", (chunk: Uint8Array) => this.#data(chunk));
    socket.on("end", () => {
      if (this.ending === "open") this.ending = "fin";
      if (behaviour.ended === undefined) this.end();
      else behaviour.ended(this);
      this.#watch.tell();
    });
    socket.on("error", () => {
      this.ending = "reset";
      this.#watch.tell();
    });
    socket.on("close", () => {
      this.isClosed = true;
      this.#watch.tell();
    });
    behaviour.opened?.(this);
  }

  /** Everything since the start. */
  get received(): Uint8Array {
    return this.#record?.peek().slice() ?? new Uint8Array(0);
  }

  send(data: Uint8Array): void {
    this.socket.write(data);
  }

  end(): void {
    this.socket.end();
  }

  /** RST where the transport can, else a plain close. */
  reset(): void {
    if (typeof this.socket.resetAndDestroy === "function") this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  until(condition: () => boolean, what: string, milliseconds = DEADLINE_MS): Promise<void> {
    return this.#watch.until(condition, milliseconds, what).catch((error: Error) => {
      throw new Error(`${error.message}; the broker received ${hexOf(this.received)}, ending: ${this.ending}`);
    });
  }

  untilReceived(count: number, milliseconds = DEADLINE_MS): Promise<void> {
    return this.until(() => this.receivedTotal >= count, `${count} bytes at the broker`, milliseconds);
  }

  untilEnded(milliseconds = DEADLINE_MS): Promise<void> {
    return this.until(() => this.ending !== "open" || this.isClosed, "the proxy to end its connection to the broker", milliseconds);
  }

  #data(chunk: Uint8Array): void {
    this.receivedTotal += chunk.length;
    this.#record?.append(chunk);
    if (this.#readable) this.#readPackets(chunk);
    this.#watch.tell();
  }

  #readPackets(chunk: Uint8Array): void {
    this.#unread.append(chunk);
    try {
      for (let packet = m.readPacket(this.#unread.peek()); packet !== undefined; packet = m.readPacket(this.#unread.peek())) {
        this.#unread.take(packet.whole.length);
        if (this.packets++ === 0) this.#readConnect(packet.body);
        (this.#behaviour.packet ?? answer)(this, packet);
      }
    } catch {
      this.#readable = false; // a length of five bytes: what it means is the test's affair
    }
  }

  #readConnect(body: Uint8Array): void {
    const levelAt = 2 + (body[1] ?? 0);
    const level = (body[levelAt] ?? 4) & 127;
    this.version = level === 3 || level === 5 ? level : 4;
    const idAt = levelAt + 4 + (this.version === 5 ? 1 + (body[levelAt + 4] ?? 0) : 0); // tests keep properties below 128 bytes here
    const length = ((body[idAt] ?? 0) << 8) | (body[idAt + 1] ?? 0);
    this.clientId = new TextDecoder().decode(body.subarray(idAt + 2, idAt + 2 + length));
  }
}

/** The answers of an honest broker without subscribers. */
export function answer(connection: BrokerConnection, packet: m.RawPacket): void {
  const { version } = connection;
  const packetId = () => ((packet.body[0] ?? 0) << 8) | (packet.body[1] ?? 0);
  switch (packet.type) {
    case 1: return connection.send(m.connack({ version }));
    case 3: return answerPublish(connection, packet);
    case 6: return connection.send(m.pubcomp(packetId()));
    case 8: return connection.send(m.suback(packetId(), [0], { version }));
    case 10: return connection.send(version === 5 ? m.packet(0xb0, m.uint16(packetId()), [0, 0]) : m.packet(0xb0, m.uint16(packetId())));
    case 12: return connection.send(m.pingresp());
    case 14: return connection.end();
  }
}

function answerPublish(connection: BrokerConnection, packet: m.RawPacket): void {
  const qos = (packet.flags >> 1) & 3;
  if (qos === 0) return;
  const topicLength = ((packet.body[0] ?? 0) << 8) | (packet.body[1] ?? 0);
  const packetId = ((packet.body[2 + topicLength] ?? 0) << 8) | (packet.body[3 + topicLength] ?? 0);
  connection.send(qos === 1 ? m.puback(packetId) : m.pubrec(packetId));
}

export interface BrokerOptions extends Behaviour {
  readonly tls?: { readonly cert: string; readonly key: string };
  /** false: bytes are counted and not kept. */
  readonly records?: boolean;
}

/** A broker that does what a test says, and forgets nothing. */
export class RecordingBroker {
  readonly connections: BrokerConnection[] = [];
  readonly port: number;
  readonly #server: Server;
  readonly #watch: Watch;
  /** Under TLS also those whose handshake never ended. */
  readonly #transports: Set<Socket>;

  private constructor(server: Server, transports: Set<Socket>, connections: BrokerConnection[], watch: Watch) {
    this.#server = server;
    this.#transports = transports;
    this.port = (server.address() as { port: number }).port;
    this.connections = connections;
    this.#watch = watch;
  }

  static async start(options: BrokerOptions = {}): Promise<RecordingBroker> {
    const connections: BrokerConnection[] = [];
    const watch = new Watch();
    const accept = (socket: Socket): void => {
      socket.setNoDelay(true);
      connections.push(new BrokerConnection(socket, options, options.records !== false));
      watch.tell();
    };
    const server =
      options.tls === undefined
        ? createTcpServer({ allowHalfOpen: true, noDelay: true }, accept)
        : createTlsServer({ ...options.tls, allowHalfOpen: true }, accept);
    const transports = new Set<Socket>();
    server.on("connection", (socket: Socket) => {
      transports.add(socket);
      socket.on("close", () => transports.delete(socket));
    });
    await new Promise<void>((resolve, reject) => {
      server.on("error", reject);
      server.listen({ host: "127.0.0.1", port: 0 }, () => resolve());
    });
    return new RecordingBroker(server, transports, connections, watch);
  }

  get isIdle(): boolean {
    return this.connections.every((connection) => connection.isClosed);
  }

  /** The connection with this number, counted from 0, when it has come. */
  async connection(index: number, milliseconds = DEADLINE_MS): Promise<BrokerConnection> {
    await this.#watch.until(() => this.connections.length > index, milliseconds, `connection ${index} at the broker`);
    return this.connections[index] as BrokerConnection;
  }

  /** Takes no further connections; those that it has stay. */
  deafen(): void {
    this.#server.close();
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.connections) connection.socket.destroy();
    for (const transport of this.#transports) transport.destroy();
    await closed;
  }
}

/** At most 200 bytes of it. */
export function hexOf(data: Uint8Array): string {
  const shown = Array.from(data.subarray(0, 200), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return data.length > 200 ? `${shown}… (${data.length} bytes)` : shown || "nothing";
}
