import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import type * as Ws from "ws";
import { runtime } from "#runtime";
import type { Listener } from "../../../src/runtime/types.ts";
import { seeded } from "../../support/seed.ts";
import { Watch } from "../../support/watch.ts";
import { DEADLINE_MS, Door, End } from "../../runtime/ends.ts";
import { overWebSocket } from "./over_websocket.ts";

/** MQTT.js brings it along. On Bun the name stands for something of Bun's own, and here the package is meant. */
const ws = process.versions["bun"] === undefined && runtime.name === "node" ? load() : undefined;

function load(): typeof Ws | undefined {
  try {
    return createRequire(resolve("package.json"))("ws") as typeof Ws;
  } catch {
    return undefined;
  }
}

const theirs = () => ws as typeof Ws;

/** Around every form of a length, and around our own copying. */
const PAYLOADS = [0, 1, 125, 126, 127, 16_383, 16_384, 65_535, 65_536, 300_000];

class Peer {
  readonly socket: Ws.WebSocket;
  readonly messages: Buffer[] = [];
  readonly pongs: string[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;
  error: Error | undefined;
  readonly #watch = new Watch();

  constructor(socket: Ws.WebSocket) {
    this.socket = socket;
    const note = <T extends unknown[]>(take: (...values: T) => void) => (...values: T) => {
      take(...values);
      this.#watch.tell();
    };
    socket.on("open", note(() => {}));
    socket.on("message", note((data: Buffer, isBinary: boolean) => {
      assert.equal(isBinary, true);
      this.messages.push(data);
    }));
    socket.on("pong", note((data: Buffer) => this.pongs.push(String(data))));
    socket.on("error", note((error: Error) => void (this.error = error)));
    socket.on("close", note((code: number, reason: Buffer) => void (this.closed = { code, reason: String(reason) })));
  }

  get bytes(): Buffer {
    return Buffer.concat(this.messages);
  }

  until(what: string, condition: (peer: Peer) => boolean): Promise<void> {
    return this.#watch.until(() => condition(this), DEADLINE_MS, what);
  }

  untilOpen(): Promise<void> {
    return this.until("open", ({ socket }) => socket.readyState === 1);
  }

  untilClosed(): Promise<void> {
    return this.until("close", ({ closed }) => closed !== undefined);
  }
}

describe("the ws package", { skip: ws === undefined ? "on Node, where ws is installed" : false }, () => {
  async function withServer(use: (address: string, door: Door) => Promise<void>): Promise<void> {
    const door = new Door();
    const listener: Listener = await overWebSocket(runtime).listen({ host: "127.0.0.1", port: 0 }, door);
    try {
      await use(`ws://127.0.0.1:${listener.port}/mqtt`, door);
    } finally {
      for (const end of door.ends) end.connection.reset();
      await listener.close();
    }
  }

  test("its client, with compression offered: upgrades, talks and closes in order", () => seeded((random) => withServer(async (address, door) => {
    door.onAccept = (end) => {
      end.onData = (chunk) => void end.connection.write(chunk);
      end.onEnd = () => end.connection.end();
    };
    const peer = new Peer(new (theirs().WebSocket)(address, ["mqtt"], { perMessageDeflate: true }));
    await peer.untilOpen();
    assert.deepEqual([peer.socket.protocol, peer.socket.extensions], ["mqtt", ""]);
    const sent: Buffer[] = [];
    for (const length of PAYLOADS) {
      const payload = Buffer.from(random.bytes(length));
      sent.push(payload);
      if (random.chance(0.5)) {
        const cut = random.integer(0, length);
        peer.socket.send(payload.subarray(0, cut), { fin: false });
        peer.socket.ping("between");
        peer.socket.send(payload.subarray(cut));
      } else peer.socket.send(payload);
    }
    peer.socket.ping("last");
    const total = Buffer.concat(sent);
    await peer.until("the echo", ({ bytes, pongs }) => bytes.length === total.length && pongs.at(-1) === "last");
    assert.ok(peer.bytes.equals(total));
    peer.socket.close(4001, "enough");
    await peer.untilClosed();
    assert.deepEqual([peer.closed, peer.error], [{ code: 4001, reason: "" }, undefined]);
    const server = await door.accepted(0);
    await server.untilClosed();
    assert.deepEqual([server.events, server.error], [["data", "end", "close"], undefined]);
  })));

  test("its client hears 1000 when we end, and 1003 for text", () => withServer(async (address, door) => {
    const polite = new Peer(new (theirs().WebSocket)(address, ["mqtt"]));
    await polite.untilOpen();
    const server = await door.accepted(0);
    server.connection.write(Uint8Array.of(1, 2, 3));
    server.connection.end();
    await polite.untilClosed();
    await server.untilClosed();
    assert.deepEqual([polite.bytes, polite.closed?.code, server.error], [Buffer.of(1, 2, 3), 1000, undefined]);
    const wrong = new Peer(new (theirs().WebSocket)(address, ["mqtt"]));
    await wrong.untilOpen();
    wrong.socket.send("text");
    await wrong.untilClosed();
    assert.equal(wrong.closed?.code, 1003);
    await (await door.accepted(1)).untilClosed();
  }));

  test("its client is refused without a subprotocol and on another path", () => withServer(async (address) => {
    for (const [url, protocols, status] of [[address, [], 400], [address, ["chat"], 400], [`${address}x`, ["mqtt"], 404]] as const) {
      const peer = new Peer(new (theirs().WebSocket)(url, [...protocols]));
      await peer.untilClosed();
      assert.match(peer.error?.message ?? "", new RegExp(`${status}`));
    }
  }));

  async function withTheirServer(options: Ws.ServerOptions, use: (dial: () => Promise<End | string>, accepted: Peer[]) => Promise<void>): Promise<void> {
    const accepted: Peer[] = [];
    const server = new (theirs().WebSocketServer)({ host: "127.0.0.1", port: 0, path: "/mqtt", handleProtocols: () => "mqtt", ...options });
    server.on("connection", (socket) => accepted.push(new Peer(socket)));
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    const dial = () => new Promise<End | string>((resolve) => {
      overWebSocket(runtime).connect({ host: "127.0.0.1", port }, {
        opened: (connection) => resolve(new End().attach(connection)),
        failed: (error) => resolve(error.message),
      });
    });
    try {
      await use(dial, accepted);
    } finally {
      for (const peer of accepted) peer.socket.terminate();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  test("its server: our client upgrades, talks and closes in order", () => seeded((random) => withTheirServer({ perMessageDeflate: true }, async (dial, accepted) => {
    const client = await dial();
    assert.ok(client instanceof End, String(client));
    const [peer] = accepted as [Peer];
    assert.deepEqual([peer.socket.protocol, peer.socket.extensions], ["mqtt", ""]);
    peer.socket.on("message", (data: Buffer) => {
      peer.socket.ping("");
      peer.socket.send(data);
    });
    const sent = PAYLOADS.filter((length) => length > 0).map((length) => Buffer.from(random.bytes(length)));
    for (const payload of sent) client.connection.write(payload);
    const total = Buffer.concat(sent);
    await client.until("the echo", ({ received }) => received === total.length);
    await peer.until("pongs", ({ pongs }) => pongs.length > 0);
    assert.ok(peer.bytes.equals(total));
    client.connection.end();
    await peer.untilClosed();
    await client.untilClosed();
    assert.deepEqual([peer.closed?.code, peer.error, client.events, client.error], [1000, undefined, ["data", "end", "close"], undefined]);
  })));

  test("its server closes: end, and ours follows", () => withTheirServer({}, async (dial, accepted) => {
    const client = await dial();
    assert.ok(client instanceof End, String(client));
    client.onEnd = () => client.connection.end();
    const [peer] = accepted as [Peer];
    peer.socket.send(Buffer.of(1));
    peer.socket.close(1001, "going away");
    await client.untilClosed();
    await peer.untilClosed();
    assert.deepEqual([client.events, client.error, peer.closed?.code, peer.error], [["data", "end", "close"], undefined, 1001, undefined]);
  }));

  test("its server sends text: it is refused", () => withTheirServer({}, async (dial, accepted) => {
    const client = await dial();
    assert.ok(client instanceof End, String(client));
    const [peer] = accepted as [Peer];
    peer.socket.send("text");
    await peer.untilClosed();
    await client.untilClosed();
    assert.deepEqual([client.error?.code, peer.closed?.code], ["other", 1003]);
  }));

  test("its server on another path, or without our subprotocol: refused with words for it", async () => {
    await withTheirServer({ path: "/elsewhere" }, async (dial) => assert.match(String(await dial()), /400 Bad Request: is \/mqtt its WebSocket path/));
    await withTheirServer({ handleProtocols: () => false }, async (dial) => assert.match(String(await dial()), /subprotocol "mqtt"/));
  });
});
