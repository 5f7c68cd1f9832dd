import { Buffer } from "node:buffer";
import mqttPacket, { type Packet } from "mqtt-packet";
import type { Connection, ConnectionHandler, Runtime } from "../../runtime/types.ts";
import type { DeviceKind } from "./device_kinds.ts";

const KEEP_ALIVE_SECONDS = 60;
const RECONNECT_SECONDS = 0.5;

export interface DeviceOptions {
  readonly runtime: Runtime;
  /** The proxy's. */
  readonly port: number;
  /** How many milliseconds a second of the demo takes. */
  readonly secondMs: number;
}

/** A small MQTT client that is alive: it comes back whenever it loses its connection. */
export class Device implements ConnectionHandler {
  readonly kind: DeviceKind;
  /** Messages that it was sent. */
  received = 0;
  readonly #options: DeviceOptions;
  /** Undefined while it sleeps or waits to try again. */
  #parser: mqttPacket.Parser | undefined = undefined;
  #connection: Connection | undefined = undefined;
  #timer: ReturnType<typeof setTimeout> | undefined = undefined;
  #packetId = 0;
  #whenStopped: (() => void) | undefined = undefined;

  constructor(kind: DeviceKind, options: DeviceOptions) {
    this.kind = kind;
    this.#options = options;
    this.#later(kind.sleeps ? kind.everySeconds : 0, () => this.#connect());
  }

  /** Fulfilled when its connection is closed. */
  stop(): Promise<void> {
    clearTimeout(this.#timer);
    return new Promise((resolve) => {
      this.#whenStopped = resolve;
      if (this.#parser === undefined) resolve();
      else this.#leave();
    });
  }

  #connect(): void {
    const parser = mqttPacket.parser({ protocolVersion: this.kind.version });
    parser.on("packet", (packet) => this.#take(packet));
    parser.on("error", () => this.#connection?.reset());
    this.#parser = parser;
    const { runtime, port } = this.#options;
    runtime.connect({ host: "127.0.0.1", port }, { opened: (connection) => this.#opened(connection), failed: () => this.close() });
  }

  #opened(connection: Connection): void {
    connection.handler = this;
    this.#connection = connection;
    if (this.#whenStopped) return connection.reset();
    const { clientId, version } = this.kind;
    const protocolId = version === 3 ? "MQIsdp" : "MQTT";
    this.#send({ cmd: "connect", clientId, protocolId, protocolVersion: version, clean: true, keepalive: KEEP_ALIVE_SECONDS });
  }

  #take(packet: Packet): void {
    if (packet.cmd === "publish") this.received++;
    else if (packet.cmd === "puback" && this.kind.sleeps) this.#leave();
    else if (packet.cmd === "connack" && (packet.returnCode ?? packet.reasonCode) === 0) this.#begin();
  }

  #begin(): void {
    const { topic, sleeps, everySeconds } = this.kind;
    if (topic === undefined) this.#send({ cmd: "subscribe", messageId: this.#nextId(), subscriptions: [{ topic: "demo/#", qos: 0 }] });
    if (sleeps) this.#publish();
    // Each at a moment of its own: one line after the other is easier to read.
    else this.#later(everySeconds * this.#options.runtime.system.random(), () => this.#publishAgain());
  }

  #publishAgain(): void {
    this.#publish();
    this.#later(this.kind.everySeconds, () => this.#publishAgain());
  }

  #publish(): void {
    const { topic, qos = 0, read } = this.kind;
    if (topic === undefined || !read) return this.#send({ cmd: "pingreq" });
    const { system } = this.#options.runtime;
    const payload = read((system.now() / 60_000) * 2 * Math.PI, system.random());
    this.#send({ cmd: "publish", topic, payload, qos, dup: false, retain: false, messageId: this.#nextId() });
  }

  #leave(): void {
    this.#send({ cmd: "disconnect" });
    this.#connection?.end();
  }

  #send(packet: Packet): void {
    this.#connection?.write(mqttPacket.generate(packet, { protocolVersion: this.kind.version }));
  }

  #nextId(): number {
    return (this.#packetId = (this.#packetId % 65_535) + 1);
  }

  #later(seconds: number, action: () => void): void {
    this.#timer = setTimeout(action, seconds * this.#options.secondMs);
  }

  data(_connection: Connection, chunk: Uint8Array): void {
    this.#parser?.parse(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  }

  drain(): void {} // what a device writes fits into any buffer

  end(connection: Connection): void {
    connection.end();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#parser = this.#connection = undefined;
    if (this.#whenStopped) this.#whenStopped();
    else this.#later(this.kind.sleeps ? this.kind.everySeconds : RECONNECT_SECONDS, () => this.#connect());
  }
}
