import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { runtime } from "#runtime";
import type { Listener } from "../../../src/runtime/types.ts";
import { Watch } from "../../support/watch.ts";
import { DEADLINE_MS, Door } from "../../runtime/ends.ts";
import { frame, goodbye, join, readFrames } from "./frames.ts";
import { head, readAnswer, request } from "./heads.ts";
import { overWebSocket } from "./over_websocket.ts";

const KEY = [9, 8, 7, 6];
const masked = (payload: string | Uint8Array, opcode = 2) => frame(payload, { key: KEY, opcode });

/** A WebSocket server of ours on this runtime, and a peer of a bare socket that has sent `first`. */
async function withRawClient(first: Uint8Array, use: (raw: RawClient, door: Door) => Promise<void>): Promise<void> {
  const door = new Door();
  const listener: Listener = await overWebSocket(runtime).listen({ host: "127.0.0.1", port: 0 }, door);
  const raw = new RawClient(listener.port);
  try {
    raw.socket.write(first);
    await use(raw, door);
  } finally {
    raw.socket.destroy();
    for (const end of door.ends) end.connection.reset();
    await listener.close();
  }
}

class RawClient {
  readonly socket;
  readonly #received: Buffer[] = [];
  #ended = false;
  readonly #watch = new Watch();

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    this.socket.on("data", (chunk: Buffer) => {
      this.#received.push(chunk);
      this.#watch.tell();
    });
    this.socket.on("error", () => {});
    this.socket.on("end", () => {
      this.#ended = true;
      this.#watch.tell();
    });
  }

  get received(): Buffer {
    return Buffer.concat(this.#received);
  }

  /** The frames behind the upgrade's answer; undefined while they are not whole. */
  get frames(): ReturnType<typeof readFrames> | undefined {
    const start = this.received.indexOf("\r\n\r\n") + 4;
    try {
      return readFrames(Uint8Array.from(this.received.subarray(start)));
    } catch {
      return undefined;
    }
  }

  until(what: string, condition: (raw: RawClient) => boolean): Promise<void> {
    return this.#watch.until(() => condition(this), DEADLINE_MS, what);
  }

  untilEnded(): Promise<void> {
    return this.until("the server's FIN", () => this.#ended);
  }
}

test("W10: MQTT in the segment of the upgrade request is delivered", () =>
  withRawClient(join(request(), masked("CONNECT"), masked("and more").slice(0, 4)), async (raw, door) => {
    const server = await door.accepted(0);
    await server.until("the first frame", (end) => end.received === 7);
    raw.socket.write(masked("and more").slice(4));
    await server.until("the second", (end) => end.received === 15);
    server.connection.write(new TextEncoder().encode("CONNACK"));
    await raw.until("the answer", (one) => one.frames?.length === 1);
    assert.deepEqual(raw.frames, [{ opcode: 2, final: true, reserved: 0, isMasked: false, payload: new TextEncoder().encode("CONNACK") }]);
  }));

test("a refused upgrade: the answer arrives, then FIN", () =>
  withRawClient(head("GET /other HTTP/1.1", { Host: "a" }), async (raw, door) => {
    await raw.untilEnded();
    const { status, headers, body } = readAnswer(raw.received);
    assert.deepEqual([status, Number(headers.get("content-length")), door.ends.length], [404, body.length, 0]);
  }));

test("W12: the peer's Close frame is end; ours follows, with FIN behind it", () =>
  withRawClient(join(request(), masked("data"), masked(goodbye(1000, "done"), 8)), async (raw, door) => {
    const server = await door.accepted(0);
    await server.until("end", (end) => end.ended);
    server.connection.end();
    await raw.untilEnded();
    assert.deepEqual(raw.frames?.map((one) => [one.opcode, one.payload]), [[8, goodbye(1000)]]);
    raw.socket.end();
    await server.untilClosed();
    assert.deepEqual([server.events, server.error], [["data", "end", "close"], undefined]);
  }));

test("W3: a text frame: 1003 and FIN reach the peer, and close says why", () =>
  withRawClient(join(request(), masked("text", 1)), async (raw, door) => {
    const server = await door.accepted(0);
    await raw.untilEnded();
    assert.deepEqual(raw.frames?.map((one) => [one.opcode, one.payload]), [[8, goodbye(1003)]]);
    raw.socket.end();
    await server.untilClosed();
    assert.deepEqual([server.events, server.error?.code], [["close"], "other"]);
  }));

test("a ping flood from a peer that does not read costs one answer, whatever else waits for it", () =>
  withRawClient(request(), async (raw, door) => {
    const server = await door.accepted(0);
    raw.socket.pause();
    server.fill();
    const waiting = server.connection.bufferedBytes;
    const pings = join(...Array.from({ length: 500 }, (_, index) => masked(new Uint8Array(125).fill(index), 9)), masked("."));
    let most = 0;
    server.onData = () => void (most = Math.max(most, server.connection.bufferedBytes));
    // 20 MB. The byte behind each batch tells that its pings were read.
    for (let batch = 1; batch <= 300; batch++) {
      raw.socket.write(pings);
      await server.until(`batch ${batch}`, (end) => end.received >= batch);
    }
    assert.ok(most <= Math.max(waiting, 128 * 1024), `${most} bytes waited, ${waiting} before the pings`);
    raw.socket.resume();
    await server.until("drain", (end) => end.drains === 1);
    await raw.until("the answer to the latest ping", (one) => one.frames?.at(-1)?.opcode === 10);
    assert.deepEqual(raw.frames?.at(-1)?.payload, new Uint8Array(125).fill(499));
  }));
