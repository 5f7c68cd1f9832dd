import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { ByteQueue } from "./byte_queue.ts";
import { pause, within } from "./deadline.ts";
import { readPacket, type RawPacket } from "./mqtt_bytes.ts";

export interface RawClientOptions {
  readonly port: number;
  readonly host?: string;
  /** TLS; `ca` is PEM text, without it nothing is verified. */
  readonly tls?: { readonly ca?: string; readonly serverName?: string };
  /** Do not answer the peer's FIN with ours. */
  readonly allowHalfOpen?: boolean;
  readonly timeoutMs?: number;
}

/** How a connection came to its end, as the client saw it. */
export type Ending = "fin" | "reset" | "open";

const DEADLINE_MS = 5_000;

/** A client that knows nothing of MQTT: it says the bytes that it is given, cut as the test wants, and tells what came back. */
export class RawClient {
  readonly socket: Socket;
  readonly #received = new ByteQueue();
  #receivedTotal = 0;
  #ending: Ending = "open";
  #closed = false;
  #watchers = new Set<() => void>();

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Uint8Array) => {
      this.#received.append(chunk);
      this.#receivedTotal += chunk.length;
      this.#tell();
    });
    socket.on("end", () => {
      if (this.#ending === "open") this.#ending = "fin";
      this.#tell();
    });
    socket.on("error", () => {
      this.#ending = "reset";
      this.#tell();
    });
    socket.on("close", () => {
      this.#closed = true;
      this.#tell();
    });
  }

  static async open(options: RawClientOptions): Promise<RawClient> {
    const address = {
      host: options.host ?? "127.0.0.1",
      port: options.port,
      noDelay: true,
      allowHalfOpen: options.allowHalfOpen ?? false,
    };
    const { tls } = options;
    const socket: Socket =
      tls === undefined
        ? connectTcp(address)
        : connectTls({
            ...address,
            ca: tls.ca,
            rejectUnauthorized: tls.ca !== undefined,
            servername: tls.serverName ?? "localhost",
          });
    const ready = new Promise<void>((resolve, reject) => {
      socket.once(tls === undefined ? "connect" : "secureConnect", () => resolve());
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("the connection was closed before it was open")));
    });
    const what = `a connection to ${address.host}:${address.port}`;
    try {
      await within(options.timeoutMs ?? DEADLINE_MS, ready, what);
    } catch (error) {
      socket.destroy();
      throw new Error(`open ${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
    socket.setNoDelay(true);
    return new RawClient(socket);
  }

  /** The same for a connection that came to a server of the test. */
  static adopt(socket: Socket): RawClient {
    socket.setNoDelay(true);
    return new RawClient(socket);
  }

  /** Everything that came and was not taken yet, until more comes. */
  get received(): Uint8Array {
    return this.#received.peek();
  }

  /** Bytes that came since the start, taken or not. */
  get receivedTotal(): number {
    return this.#receivedTotal;
  }

  get ending(): Ending {
    return this.#ending;
  }

  /** Writes the bytes; resolves when the kernel has them. */
  send(data: Uint8Array, milliseconds = DEADLINE_MS): Promise<void> {
    const written = new Promise<void>((resolve, reject) => {
      this.socket.write(data, (error) => (error ? reject(error) : resolve()));
    });
    return within(milliseconds, written, `${data.length} bytes to be sent`);
  }

  /** Writes the pieces between these places one by one, each in a segment of its own. */
  async sendSplit(data: Uint8Array, places: readonly number[], betweenMs = 2): Promise<void> {
    let from = 0;
    for (const place of [...places, data.length]) {
      await this.send(data.subarray(from, place));
      from = place;
      if (from < data.length) await pause(betweenMs);
    }
  }

  /** One byte a segment. */
  sendByteByByte(data: Uint8Array, betweenMs = 1): Promise<void> {
    return this.sendSplit(data, Array.from({ length: Math.max(0, data.length - 1) }, (_, i) => i + 1), betweenMs);
  }

  /** Takes exactly this many bytes from the front of what came. */
  async take(count: number, milliseconds = DEADLINE_MS): Promise<Uint8Array> {
    await this.#until(() => this.#received.length >= count, milliseconds, `${count} bytes`);
    return this.#received.take(count);
  }

  /** Takes the next whole MQTT packet. */
  async takePacket(milliseconds = DEADLINE_MS): Promise<RawPacket> {
    await this.#until(() => readPacket(this.received) !== undefined, milliseconds, "a whole packet");
    const found = readPacket(this.received) as RawPacket;
    this.#received.take(found.whole.length);
    return found;
  }

  /** Fails unless exactly these bytes come next. */
  async expect(expected: Uint8Array, milliseconds = DEADLINE_MS): Promise<void> {
    const got = await this.take(expected.length, milliseconds);
    const at = got.findIndex((byte, i) => byte !== expected[i]);
    if (at >= 0) throw new Error(`expected ${toHex(expected)}, received ${toHex(got)}: they differ at byte ${at}`);
  }

  /** Fails when anything comes, or the connection ends, within this time. */
  async expectSilence(milliseconds: number): Promise<void> {
    await pause(milliseconds);
    if (this.#received.length > 0) throw new Error(`expected silence, received ${toHex(this.received)}`);
    if (this.#ending !== "open") throw new Error(`expected silence, the connection ended by ${this.#ending}`);
  }

  /** Waits until the peer ends the connection and tells how; what came before stays to be taken. */
  async expectEnd(milliseconds = DEADLINE_MS): Promise<"fin" | "reset"> {
    await this.#until(() => this.#ending !== "open", milliseconds, "the peer to end the connection", true);
    return this.#ending as "fin" | "reset";
  }

  /** Like `expectEnd`, and fails when any byte comes with it. */
  async expectEndWithoutData(milliseconds = DEADLINE_MS): Promise<"fin" | "reset"> {
    const ending = await this.expectEnd(milliseconds);
    if (this.#received.length > 0) throw new Error(`expected no bytes before the end, received ${toHex(this.received)}`);
    return ending;
  }

  /** Stops reading, so that the peer's writes back up. */
  stopReading(): void {
    this.socket.pause();
  }

  resumeReading(): void {
    this.socket.resume();
  }

  /** FIN, reading goes on. */
  end(): void {
    this.socket.end();
  }

  /** RST where the transport can, else a plain close. */
  reset(): void {
    const isTls = "encrypted" in this.socket; // Node knows no reset of these
    if (!isTls && typeof this.socket.resetAndDestroy === "function") this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  async close(): Promise<void> {
    this.socket.destroy();
    if (!this.#closed) await this.#until(() => this.#closed, DEADLINE_MS, "our own close", true);
  }

  async #until(condition: () => boolean, milliseconds: number, what: string, mayEnd = false): Promise<void> {
    let watcher = (): void => {};
    const held = new Promise<void>((resolve, reject) => {
      watcher = () => {
        if (condition()) resolve();
        else if (!mayEnd && this.#ending !== "open") reject(new Error(`the connection ended by ${this.#ending}`));
      };
      this.#watchers.add(watcher);
      watcher();
    });
    try {
      await within(milliseconds, held, what);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`wait for ${what}: ${reason}; received so far: ${toHex(this.received)}`);
    } finally {
      this.#watchers.delete(watcher);
    }
  }

  #tell(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}

/** At most 64 bytes of it: errors are read by people. */
export function toHex(data: Uint8Array): string {
  const shown = Array.from(data.subarray(0, 64), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return data.length > 64 ? `${shown}… (${data.length} bytes)` : `${shown || "nothing"}`;
}
