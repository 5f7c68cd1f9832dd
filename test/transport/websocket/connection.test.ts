import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TimerWheel } from "../../../src/lib/timer_wheel.ts";
import type { Connection, ConnectionHandler, NetworkError } from "../../../src/runtime/types.ts";
import { WebSocketConnection } from "../../../src/transport/websocket/connection.ts";
import type { WebSocketSettings } from "../../../src/transport/websocket/settings.ts";
import { frame, type FrameOptions, goodbye, join } from "./frames.ts";
import { ManualConnection } from "./manual_connection.ts";

const KEY = [1, 2, 3, 4];
const NOTHING = new Uint8Array(0);
const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);
/** A frame of a client. */
const masked = (payload: string | Uint8Array, options: FrameOptions = {}) => frame(payload, { key: KEY, ...options });

/** Notes what a connection delivers; `on` is run inside the event of that name. */
class Owner implements ConnectionHandler {
  readonly events: string[] = [];
  error: NetworkError | undefined;
  readonly on: { data?: () => void; drain?: () => void; end?: () => void } = {};

  data(_connection: Connection, chunk: Uint8Array): void {
    this.events.push(`data ${text(chunk)}`);
    this.on.data?.();
  }

  drain(): void {
    this.events.push("drain");
    this.on.drain?.();
  }

  end(): void {
    this.events.push("end");
    this.on.end?.();
  }

  close(_connection: Connection, error: NetworkError | undefined): void {
    this.events.push("close");
    this.error = error;
  }
}

function open(options: { role?: "server" | "client"; settings?: Partial<WebSocketSettings>; rest?: Uint8Array; isPaused?: boolean } = {}) {
  const inner = new ManualConnection();
  const wheel = new TimerWheel(0);
  const role = options.role === "client" ? { role: "client" as const, maskingKey: () => 0x04030201 } : { role: "server" as const };
  const settings: WebSocketSettings = { wheel, ...role, ...(options.settings as object) };
  const socket = new WebSocketConnection(inner, settings);
  const owner = new Owner();
  socket.handler = owner;
  if (options.isPaused) socket.pause();
  socket.start(options.rest ?? NOTHING);
  return { inner, socket, owner, wheel, settings };
}

const turn = () => new Promise<void>((resolve) => queueMicrotask(resolve));

describe("WebSocketConnection, writing", () => {
  for (const role of ["server", "client"] as const) {
    test(`as ${role}: a chunk is one final binary frame, ${role === "client" ? "masked" : "unmasked"}, and stays as it is`, () => {
      for (const length of [1, 125, 126, 16_383, 16_384, 65_535, 65_536, 200_000]) {
        const { inner, socket } = open({ role });
        const chunk = new Uint8Array(length).map((_, index) => index * 3);
        const before = chunk.slice();
        assert.equal(socket.write(chunk), true);
        assert.deepEqual(chunk, before);
        assert.deepEqual(inner.frames, [{ opcode: 2, final: true, reserved: 0, isMasked: role === "client", payload: before }]);
      }
    });
  }

  test("a small chunk leaves in one write", () => {
    const { inner, socket } = open();
    socket.write(new Uint8Array(4096));
    assert.equal(inner.written.length, 1);
  });

  test("RFC 6455 5.3: each frame of a client has a key of its own", () => {
    let key = 7;
    const { inner, socket } = open({ role: "client", settings: { maskingKey: () => (key += 0x01010101) } as Partial<WebSocketSettings> });
    for (let count = 0; count < 3; count++) socket.write(new Uint8Array(8));
    const keys = inner.written.map((bytes) => bytes.slice(2, 6).join());
    assert.equal(new Set(keys).size, 3);
    assert.deepEqual(inner.frames.map((one) => one.payload), Array.from({ length: 3 }, () => new Uint8Array(8)));
  });

  test("an empty write makes no frame: it asks the inner connection again", () => {
    const { inner, socket } = open();
    assert.equal(socket.write(NOTHING), true);
    inner.takes = false;
    assert.equal(socket.write(NOTHING), false);
    assert.deepEqual([inner.emptyWrites, inner.written.length], [2, 0]);
  });

  test("exactly one drain follows a false, however much is written meanwhile", () => {
    const { inner, socket, owner } = open();
    inner.takes = false;
    for (const length of [10, 20_000, 10]) assert.equal(socket.write(new Uint8Array(length)), false);
    assert.deepEqual(owner.events, []);
    inner.drain();
    inner.drain();
    assert.deepEqual(owner.events, ["drain"]);
  });

  test("a drain that only a pong was waiting for is not the owner's", () => {
    const { inner, owner } = open();
    inner.takes = false;
    inner.send(masked("ping", { opcode: 9 }));
    inner.drain();
    assert.deepEqual(owner.events, []);
    assert.deepEqual(inner.frames.map((one) => one.opcode), [10]);
  });

  test("bufferedBytes, addresses and keep-alive are the inner connection's", () => {
    const { inner, socket } = open();
    inner.bufferedBytes = 77;
    socket.setKeepAlive(30_000);
    assert.deepEqual([socket.bufferedBytes, socket.remoteAddress, socket.remotePort, inner.keepAliveMs], [77, "192.0.2.1", 4711, 30_000]);
  });
});

describe("WebSocketConnection, reading", () => {
  test("W4: five packets in one frame, one packet over three, single bytes and empty frames are a stream", () => {
    const { inner, owner } = open();
    inner.send(join(masked("abc", { final: false }), masked("", { opcode: 0, final: false }), masked("de", { opcode: 0 }), masked("")));
    for (const byte of masked("fgh")) inner.send(Uint8Array.of(byte));
    assert.deepEqual(owner.events, ["data abcde", "data f", "data g", "data h"]);
  });

  test("W5: a part of a packet is passed on and the rest waited for", () => {
    const { inner, owner, socket } = open();
    inner.send(masked("par"));
    assert.deepEqual(owner.events, ["data par"]);
    inner.send(masked("tial"));
    assert.deepEqual(owner.events, ["data par", "data tial"]);
    assert.equal(socket.bufferedBytes, 0);
  });

  test("W10: frames behind the upgrade are delivered by start, also cut ones", () => {
    const whole = masked("first");
    const { inner, owner } = open({ rest: join(whole, whole.slice(0, 3)) });
    inner.send(whole.slice(3));
    assert.deepEqual(owner.events, ["data first", "data first"]);
  });

  test("W10: with the owner paused they wait for resume, and come before everything else", async () => {
    const { inner, owner, socket } = open({ rest: masked("early"), isPaused: true });
    inner.send(masked("late"));
    assert.deepEqual(owner.events, []);
    socket.resume();
    assert.deepEqual(owner.events, [], "delivered inside resume");
    await turn();
    assert.deepEqual(owner.events, ["data early", "data late"]);
  });

  test("pause inside data holds what follows; resume, pause and resume again repeat nothing", async () => {
    const { inner, owner, socket } = open({ rest: masked("early"), isPaused: true });
    owner.on.data = () => socket.pause();
    socket.resume();
    socket.pause();
    socket.resume();
    await turn();
    inner.send(masked("late"));
    await turn();
    assert.deepEqual(owner.events, ["data early"]);
    assert.equal(inner.isPaused, true);
    socket.resume();
    assert.deepEqual(owner.events, ["data early", "data late"]);
  });

  test("RFC 6455 5.5.2: a ping is answered with its own payload, also between fragments; a pong is ignored", () => {
    for (const role of ["server", "client"] as const) {
      const { inner, owner } = open({ role });
      const from = (payload: string, options: FrameOptions) => frame(payload, role === "server" ? { key: KEY, ...options } : options);
      inner.send(join(from("a", { final: false }), from("are you there", { opcode: 9 }), from("no", { opcode: 10 }), from("b", { opcode: 0 })));
      assert.deepEqual(owner.events, ["data ab"]);
      assert.deepEqual(inner.frames.map((one) => [one.opcode, one.isMasked, text(one.payload)]), [[10, role === "client", "are you there"]]);
    }
  });

  test("a ping flood without reading costs one answer: the latest, once the peer reads again", () => {
    const { inner } = open();
    inner.takes = false;
    for (let count = 0; count < 100_000; count++) inner.send(masked(`${count}`, { opcode: 9 }));
    assert.deepEqual(inner.frames.map((one) => text(one.payload)), ["0"]);
    inner.drain();
    assert.deepEqual(inner.frames.map((one) => text(one.payload)), ["0", "99999"]);
  });

  test("many pings in one chunk are answered once", () => {
    const { inner } = open();
    inner.send(join(...Array.from({ length: 1000 }, (_, index) => masked(`${index}`, { opcode: 9 }))));
    assert.deepEqual(inner.frames.map((one) => text(one.payload)), ["999"]);
  });
});

describe("WebSocketConnection, ending", () => {
  test("W12: end is a Close frame with 1000 and a FIN; reading goes on until the peer's", () => {
    const { inner, socket, owner } = open();
    socket.write(Uint8Array.of(1));
    socket.end();
    socket.end();
    assert.equal(socket.write(Uint8Array.of(2)), true);
    assert.deepEqual(inner.frames.map((one) => [one.opcode, one.payload]), [[2, Uint8Array.of(1)], [8, goodbye(1000)]]);
    assert.equal(inner.isEnded, true);
    inner.send(join(masked("last"), masked("", { opcode: 9 }), masked(goodbye(1000), { opcode: 8 })));
    inner.fin();
    inner.close();
    assert.deepEqual(owner.events, ["data last", "end", "close"]);
    assert.equal(owner.error, undefined);
    assert.equal(inner.frames.length, 2, "something was said after the Close frame");
  });

  test("W12: end says 1001 from the moment in which the proxy is stopping", () => {
    const { inner, socket, settings } = open();
    settings.isStopping = true;
    socket.end();
    assert.deepEqual(inner.frames.map((one) => one.payload), [goodbye(1001)]);
  });

  test("RFC 6455 5.5.1: the peer's Close frame becomes end; ours follows with end(), behind the rest, with the same code", () => {
    for (const [payload, answer] of [[goodbye(1001, "bye"), goodbye(1001)], [goodbye(4000), goodbye(4000)], [NOTHING, NOTHING]] as const) {
      const { inner, socket, owner } = open();
      inner.send(join(masked("last"), masked(payload, { opcode: 8 }), masked("too late")));
      inner.send(masked("too late"));
      assert.deepEqual(owner.events, ["data last", "end"]);
      socket.write(Uint8Array.of(9));
      socket.end();
      assert.deepEqual(inner.frames.map((one) => one.payload), [Uint8Array.of(9), answer]);
      inner.fin();
      inner.close();
      assert.deepEqual(owner.events, ["data last", "end", "close"]);
      assert.equal(owner.error, undefined);
    }
  });

  test("a Close frame behind data on which the owner pauses waits for resume", async () => {
    const { inner, socket, owner } = open();
    owner.on.data = () => socket.pause();
    inner.send(join(masked("data"), masked(goodbye(1000), { opcode: 8 })));
    inner.fin();
    await turn();
    assert.deepEqual(owner.events, ["data data"]);
    socket.resume();
    socket.pause();
    await turn();
    assert.deepEqual(owner.events, ["data data"]);
    socket.resume();
    await turn();
    assert.deepEqual(owner.events, ["data data", "end"]);
  });

  test("pause after the peer's Close frame does not keep its FIN from being seen", () => {
    const { inner, socket } = open();
    inner.send(masked(goodbye(1000), { opcode: 8 }));
    socket.pause();
    assert.equal(inner.isPaused, false);
  });

  test("W12: a FIN without a Close frame becomes end, in the middle of a frame too", () => {
    for (const beginning of [NOTHING, masked("0123456789").slice(0, 3), masked("0123456789").slice(0, 9)]) {
      const { inner, owner, socket } = open();
      inner.send(beginning);
      inner.fin();
      assert.equal(owner.events.at(-1), "end");
      socket.end();
      inner.close();
      assert.equal(owner.events.at(-1), "close");
      assert.equal(owner.error, undefined);
    }
  });

  test("close carries the inner connection's reason, once and last", () => {
    const { inner, owner, socket } = open();
    const reason: NetworkError = { code: "reset", message: "connection reset by the peer" };
    inner.close(reason);
    inner.close(reason);
    assert.deepEqual(owner.events, ["close"]);
    assert.equal(owner.error, reason);
    for (const verb of [() => socket.write(Uint8Array.of(1)), () => socket.pause(), () => socket.resume(), () => socket.end(), () => socket.reset()]) verb();
    assert.deepEqual([inner.written.length, inner.isEnded, inner.isReset, inner.isPaused], [0, false, false, false]);
  });

  test("reset inside data: nothing that came with it is delivered or answered, and close has no error", () => {
    const { inner, owner, socket } = open();
    owner.on.data = () => socket.reset();
    inner.send(join(masked("data"), masked("", { opcode: 9 }), masked("text", { opcode: 1 })));
    inner.close();
    assert.deepEqual([owner.events, owner.error, inner.isReset, inner.written.length], [["data data", "close"], undefined, true, 0]);
  });

  test("a throw in a handler that is called from resume resets the connection and arrives in close", async () => {
    const { inner, owner, socket } = open({ rest: masked("early"), isPaused: true });
    owner.on.data = () => {
      throw new Error("thrown on purpose");
    };
    socket.resume();
    await turn();
    assert.equal(inner.isReset, true);
    inner.close();
    assert.equal(owner.error?.code, "internal");
    assert.match(owner.error.message, /thrown on purpose/);
  });
});

describe("WebSocketConnection, a peer that breaks a rule", () => {
  test("W3, W6, RFC 6455 7.1.7: is told by a Close frame and a FIN; what came before is delivered, and close says what it was", () => {
    const cases: [bytes: Uint8Array, code: number, words: RegExp][] = [
      [masked("text", { opcode: 1 }), 1003, /^WebSocket: a text frame/],
      [frame("unmasked"), 1002, /unmasked frame/],
      [masked(goodbye(1005), { opcode: 8 }), 1002, /code 1005/],
      [masked(goodbye(1000, Uint8Array.of(0xff)), { opcode: 8 }), 1007, /UTF-8/],
      [masked("", { length: 1n << 62n }), 1009, /the limit is/],
    ];
    for (const [bytes, code, words] of cases) {
      const { inner, owner, socket, wheel } = open();
      inner.send(join(masked("good"), bytes, masked("ignored")));
      inner.send(masked("ignored"));
      assert.deepEqual(owner.events, ["data good"]);
      assert.deepEqual(inner.frames.map((one) => [one.opcode, one.payload]), [[8, goodbye(code)]]);
      assert.equal(inner.isEnded, true);
      assert.equal(socket.write(Uint8Array.of(1)), true);
      inner.fin();
      inner.close();
      assert.deepEqual(owner.events, ["data good", "close"]);
      assert.equal(owner.error?.code, "other");
      assert.match(owner.error.message, words);
      assert.equal(wheel.size, 0);
    }
  });

  test("is reset when it does not go within half a second or so", () => {
    const { inner, owner, wheel } = open();
    inner.send(masked("text", { opcode: 1 }));
    wheel.advance(400);
    assert.equal(inner.isReset, false);
    wheel.advance(1000);
    assert.equal(inner.isReset, true);
    inner.close();
    assert.equal(owner.error?.code, "other");
  });

  test("no drain follows any more, and a paused inner connection is read again for its FIN", () => {
    const { inner, owner, socket } = open();
    inner.takes = false;
    socket.write(Uint8Array.of(1));
    owner.on.data = () => socket.pause();
    inner.send(join(masked("data"), masked("text", { opcode: 1 })));
    assert.equal(inner.isPaused, false);
    inner.drain();
    assert.deepEqual(owner.events, ["data data"]);
  });

  test("after our own end it is not told twice", () => {
    const { inner, socket, owner } = open();
    socket.end();
    inner.send(masked("text", { opcode: 1 }));
    assert.deepEqual(inner.frames.map((one) => one.payload), [goodbye(1000)]);
    inner.close();
    assert.equal(owner.error?.code, "other");
  });

  test("the cap on frames is the one of the settings", () => {
    const { inner } = open({ settings: { frameSizeMax: 10 } });
    inner.send(masked("0123456789a"));
    assert.deepEqual(inner.frames.map((one) => one.payload), [goodbye(1009)]);
  });

  test("as client: a masked frame of the server is refused, with a masked Close", () => {
    const { inner, owner } = open({ role: "client" });
    inner.send(masked("masked"));
    assert.deepEqual(inner.frames.map((one) => [one.opcode, one.isMasked, one.payload]), [[8, true, goodbye(1002)]]);
    inner.close();
    assert.match(owner.error?.message ?? "", /masked frame from a server/);
  });
});
