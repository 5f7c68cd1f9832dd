import { type AddressInfo, createServer } from "node:net";
import { connect } from "node:tls";
import type { AcceptHandler, Connection, ConnectionHandler, Handshake, NetworkError, SecureHandler, TlsContext, TlsFacts } from "../../src/runtime/types.ts";
import { Watch } from "../support/watch.ts";
import { DEADLINE_MS, End, type Lab, settle, withoutTls } from "./lab.ts";
import { contextOf } from "./secure_lab.ts";

export async function openBench(lab: Lab): Promise<Bench> {
  const bench = new Bench(lab, await contextOf(lab));
  await bench.open();
  return bench;
}

/** A listener that begins TLS, echoes, and shows all of it: the plain connections, the handshakes, and events that should not have come. */
export class Bench implements AcceptHandler, SecureHandler {
  port = 0;
  readonly plain: Connection[] = [];
  readonly handshakes: Handshake[] = [];
  readonly ends: End[] = [];
  readonly facts: TlsFacts[] = [];
  readonly errors: NetworkError[] = [];
  /** Events of plain connections that were TLS's already. */
  strays = 0;
  /** Bytes before the ClientHello. */
  cut = 0;
  /** Pauses on the first bytes and begins TLS some time later. */
  isLate = false;
  cancelsAtOnce = false;
  onPlain: (connection: Connection) => void = () => {};
  onSecured: (end: End) => void = () => {};
  readonly #lab: Lab;
  readonly #context: TlsContext;
  readonly #watch = new Watch();
  readonly #plainHandler: ConnectionHandler = {
    data: (connection, chunk) => this.#read(connection, chunk),
    drain: (connection) => void this.#isTaken(connection),
    end: (connection) => void this.#isTaken(connection),
    close: (connection) => void this.#isTaken(connection),
  };
  #shut: () => Promise<void> = async () => {};

  constructor(lab: Lab, context: TlsContext) {
    this.#lab = lab;
    this.#context = context;
  }

  async open(): Promise<void> {
    const listener = await withoutTls(this.#lab).runtime.listen({ host: "127.0.0.1", port: 0, startsTls: true }, this);
    this.port = listener.port;
    this.#shut = () => listener.close();
  }

  /** Stops listening. */
  shut(): Promise<void> {
    return this.#shut();
  }

  async close(): Promise<void> {
    await this.#shut();
    for (const end of this.ends) end.connection.reset();
  }

  admit(): boolean {
    return true;
  }

  accept(connection: Connection): void {
    connection.handler = this.#plainHandler;
  }

  secured(connection: Connection, facts: TlsFacts): void {
    const end = new End().attach(connection);
    end.onData = (chunk) => void connection.write(chunk);
    end.onEnd = () => connection.end();
    this.facts.push(facts);
    this.ends.push(end);
    this.onSecured(end);
    this.#watch.tell();
  }

  failed(error: NetworkError): void {
    this.errors.push(error);
    this.#watch.tell();
  }

  /** The first connection whose handshake is done. */
  async untilSecured(): Promise<End> {
    await this.until("secured", () => this.ends.length > 0);
    return this.ends[0]!;
  }

  async untilFailed(index: number): Promise<NetworkError> {
    await this.until(`failure ${index}`, () => this.errors.length > index);
    return this.errors[index]!;
  }

  until(what: string, condition: () => boolean): Promise<void> {
    return this.#watch.until(condition, DEADLINE_MS, what);
  }

  #read(connection: Connection, chunk: Uint8Array): void {
    if (this.#isTaken(connection)) return;
    this.plain.push(connection);
    this.onPlain(connection);
    if (!this.isLate) return this.#begin(connection, chunk);
    connection.pause();
    void settle(this.#lab).then(() => this.#begin(connection, chunk));
  }

  #begin(connection: Connection, chunk: Uint8Array): void {
    const handshake = this.#lab.runtime.secureServer(connection, chunk.subarray(this.cut), this.#context, this);
    if (this.cancelsAtOnce) handshake.cancel();
    this.handshakes.push(handshake);
    this.#watch.tell();
  }

  #isTaken(connection: Connection): boolean {
    const isTaken = this.plain.includes(connection);
    if (isTaken) this.strays += 1;
    return isTaken;
  }
}

/** What a client of TLS says first. */
export function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", (chunk) => {
        resolve(chunk);
        socket.destroy();
        server.close();
      });
    });
    server.listen({ port: 0, host: "127.0.0.1" }, () => {
      const { port } = server.address() as AddressInfo;
      connect({ port, host: "127.0.0.1", servername: "localhost" }).on("error", () => {});
    });
  });
}
