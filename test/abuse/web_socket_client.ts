import assert from "node:assert/strict";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { RawClient } from "../support/raw_client.ts";
import { frame, type FrameOptions, readFrames, type SeenFrame } from "../transport/websocket/frames.ts";
import { type Headers, readAnswer, request } from "../transport/websocket/heads.ts";

const KEY = [0x11, 0x22, 0x33, 0x44] as const;
const CLOSE = 8;

/** A masked frame, as clients send them. */
export const masked = (payload: Uint8Array | string = "", options: FrameOptions = {}): Uint8Array => frame(payload, { key: KEY, ...options });

/** MQTT over WebSocket, frame by frame. */
export class WebSocketClient {
  readonly client: RawClient;
  readonly headers: ReadonlyMap<string, string>;
  #taken = 0;

  private constructor(client: RawClient, headers: ReadonlyMap<string, string>) {
    this.client = client;
    this.headers = headers;
  }

  /** Upgrades an open connection; `behind` comes in the segment of the request. */
  static async upgrade(client: RawClient, options: { headers?: Headers; firstLine?: string; behind?: Uint8Array } = {}): Promise<WebSocketClient> {
    await client.send(m.bytes(request(options.headers, options.firstLine), options.behind ?? []));
    const { status, headers } = await takeAnswer(client);
    assert.equal(status, 101);
    return new WebSocketClient(client, headers);
  }

  send(payload: Uint8Array, options: FrameOptions = {}): Promise<void> {
    return this.client.send(masked(payload, options));
  }

  /** The whole frames that came so far. */
  get frames(): SeenFrame[] {
    const { received } = this.client;
    for (let length = received.length; length > 0; length--) {
      try {
        return readFrames(received.subarray(0, length));
      } catch {
        // cut in the middle of a frame
      }
    }
    return [];
  }

  /** MQTT's bytes so far. */
  get payload(): Uint8Array {
    return m.bytes(...this.frames.filter(({ opcode }) => opcode <= 2).map(({ payload }) => payload));
  }

  /** Fails unless exactly these bytes of MQTT come next. */
  async expect(expected: Uint8Array, milliseconds = 5_000): Promise<void> {
    const end = this.#taken + expected.length;
    await until(() => this.payload.length >= end || this.client.ending !== "open", milliseconds, `${expected.length} bytes of payload`);
    assert.deepEqual(this.payload.subarray(this.#taken, end), expected);
    this.#taken = end;
  }

  /** The code in the Close frame that ends the connection; undefined: none came. */
  async closeCode(milliseconds = 5_000): Promise<number | undefined> {
    const find = () => this.frames.find(({ opcode }) => opcode === CLOSE);
    await until(() => find() !== undefined || this.client.ending !== "open", milliseconds, "a Close frame");
    const payload = find()?.payload;
    return payload === undefined || payload.length < 2 ? undefined : ((payload[0] as number) << 8) | (payload[1] as number);
  }
}

/** The head of the answer to a request, and its body where it says how long that is. */
export async function takeAnswer(client: RawClient, milliseconds = 5_000): Promise<ReturnType<typeof readAnswer>> {
  const end = () => Buffer.from(client.received).indexOf("\r\n\r\n");
  await until(() => end() >= 0 || client.ending !== "open", milliseconds, "an answer in HTTP");
  assert.ok(end() >= 0, "the connection ended without an answer in HTTP");
  const headBytes = end() + 4;
  const { headers } = readAnswer(client.received.subarray(0, headBytes));
  return readAnswer(await client.take(headBytes + Number(headers.get("content-length") ?? 0)));
}
