import { strict as assert } from "node:assert";
import { type Case, digestOf, End, pattern, settle, withPair } from "./lab.ts";

const BIG = 8 << 20;

/** Bytes, back-pressure and half-closing; each is run plain and over TLS. */
export const streamCases: readonly Case[] = [
  {
    name: "echo: bytes come back, and both sides know the other's address",
    run: (lab) =>
      withPair(lab, async ({ client, server, listener }) => {
        server.onData = (chunk) => void server.connection.write(chunk);
        client.connection.setKeepAlive(30_000);
        client.connection.write(pattern(1000));
        await client.until("the echo", (end) => end.received === 1000);
        assert.equal(client.digest(), digestOf(pattern(1000)));
        assert.equal(client.connection.remoteAddress, "127.0.0.1");
        assert.equal(client.connection.remotePort, listener.port);
        assert.equal(server.connection.remoteAddress, "127.0.0.1");
        assert.ok(server.connection.remotePort > 0);
      }),
  },
  {
    name: "a chunk may be kept: later chunks do not change it",
    run: (lab) =>
      withPair(lab, async ({ client, server }) => {
        const kept: Uint8Array[] = [];
        server.onData = (chunk) => {
          kept.push(chunk);
          server.connection.write(Uint8Array.of(1));
        };
        for (let round = 1; round <= 50; round += 1) {
          client.connection.write(new Uint8Array(100).fill(round));
          await client.until("the answer", (end) => end.received >= round && server.received === round * 100);
        }
        const all = Buffer.concat(kept);
        assert.ok(all.every((byte, at) => byte === Math.floor(at / 100) + 1));
      }),
  },
  {
    name: "write: 8 MB to a stopped reader answer false, then exactly one drain, and nothing is lost",
    run: (lab) =>
      withPair(lab, async ({ client, server }) => {
        server.connection.pause();
        const chunk = pattern(65_536);
        const filled = client.fill(chunk);
        assert.ok(client.connection.bufferedBytes > 0, "false, though nothing waits");
        assert.ok(client.connection.bufferedBytes <= 4 * 65_536, `${client.connection.bufferedBytes} bytes wait after the first false`);
        // Who writes on all the same is not lost either.
        const big = pattern(BIG);
        assert.equal(client.connection.write(big), false);
        assert.equal(client.connection.write(chunk), false);
        assert.ok(client.connection.bufferedBytes >= BIG);
        assert.equal(client.drains, 0);
        server.connection.resume();
        await server.until("all bytes", (end) => end.received === filled + BIG + chunk.length);
        await client.until("drain", (end) => end.drains > 0);
        assert.equal(client.connection.bufferedBytes, 0);
        const pieces = Array.from({ length: filled / chunk.length }, () => chunk);
        assert.equal(server.digest(), digestOf(...pieces, big, chunk));
        await settle(lab);
        assert.equal(client.drains, 1);
      }),
  },
  {
    name: "drain: each false is followed by one, for as long as one goes on",
    run: (lab) =>
      withPair(lab, async ({ client, server }) => {
        let written = client.fill();
        let refusals = 1;
        client.onDrain = () => {
          if (refusals === 20) return;
          refusals += 1;
          written += client.fill();
        };
        await client.until("twenty drains", (end) => end.drains === 20);
        await server.until("all bytes", (end) => end.received === written);
        await settle(lab);
        assert.equal(client.drains, 20);
      }),
  },
  {
    name: "pause: no data follows, even when the peer fills every buffer; resume brings all of it",
    run: (lab) =>
      withPair(lab, async ({ client, server }) => {
        server.onData = () => server.connection.pause();
        client.connection.write(pattern(10));
        await server.until("the first data", (end) => end.received > 0);
        const before = server.received;
        const filled = client.fill();
        await settle(lab);
        assert.equal(server.received, before);
        server.onData = () => {};
        server.connection.resume();
        await server.until("the rest", (end) => end.received === 10 + filled);
      }),
  },
  {
    name: "pause in accept: early data and the FIN behind it wait for resume",
    run: (lab) =>
      withPair(lab, async ({ client, server }) => {
        client.connection.write(pattern(5000));
        client.connection.end();
        await settle(lab);
        assert.deepEqual(server.events, []);
        server.connection.resume();
        await server.until("data and end", (end) => end.ended);
        assert.equal(server.received, 5000);
        server.connection.end();
        await Promise.all([client.untilClosed(), server.untilClosed()]);
        assert.deepEqual([client.error, server.error], [undefined, undefined]);
      }, { door: (door) => (door.onAccept = (end) => end.connection.pause()) }),
  },
  {
    name: "pause and resume in quick turns lose and repeat nothing",
    run: (lab) =>
      withPair(lab, async ({ client, server }) => {
        server.onData = () => {
          server.connection.pause();
          server.connection.resume();
          server.connection.pause();
          setImmediate(() => {
            server.connection.resume();
            server.connection.resume();
          });
        };
        const big = pattern(2 << 20);
        client.connection.write(big);
        client.connection.end();
        await server.until("data and end", (end) => end.ended);
        assert.equal(server.digest(), digestOf(big));
      }),
  },
  {
    name: "end: half-close by the dialling side, and the other goes on talking",
    run: (lab) => withPair(lab, ({ client, server }) => halfClose(client, server)),
  },
  {
    name: "end: half-close by the accepting side, and the other goes on talking",
    run: (lab) => withPair(lab, ({ client, server }) => halfClose(server, client)),
  },
  {
    name: "end: what waits behind a full buffer is sent first",
    run: (lab) =>
      withPair(lab, async ({ client, server }) => {
        server.connection.pause();
        const big = pattern(BIG);
        assert.equal(client.connection.write(big), false);
        client.connection.end();
        assert.equal(client.connection.write(pattern(10)), true, "bytes after end are dropped");
        server.connection.resume();
        await server.until("the end", (end) => end.ended);
        assert.equal(server.digest(), digestOf(big));
        server.connection.end();
        await Promise.all([client.untilClosed(), server.untilClosed()]);
        assert.deepEqual([client.error, server.error, client.drains], [undefined, undefined, 0]);
      }),
  },
  {
    name: "end: with a peer that keeps talking nothing is lost in either direction",
    run: (lab) =>
      withPair(lab, async ({ client, server }) => {
        // The client has unread input when it ends: a plain close would answer with RST and destroy what is under way.
        client.connection.pause();
        let sent = server.fill();
        let rounds = 0;
        server.onDrain = () => {
          rounds += 1;
          if (rounds < 10) sent += server.fill();
          else server.connection.end();
        };
        const big = pattern(BIG);
        client.connection.write(big);
        client.connection.end();
        client.connection.resume();
        await Promise.all([client.untilClosed(), server.untilClosed()]);
        assert.equal(server.digest(), digestOf(big));
        assert.equal(client.received, sent);
        assert.deepEqual([client.error, server.error], [undefined, undefined]);
      }),
  },
  {
    name: "end: by both sides at once closes both in order",
    run: (lab) =>
      withPair(lab, async ({ client, server }) => {
        client.connection.write(pattern(100));
        server.connection.write(pattern(200));
        client.connection.end();
        server.connection.end();
        await Promise.all([client.untilClosed(), server.untilClosed()]);
        assert.deepEqual([server.received, client.received], [100, 200]);
        assert.deepEqual([client.events, server.events], [["data", "end", "close"], ["data", "end", "close"]]);
        assert.deepEqual([client.error, server.error], [undefined, undefined]);
      }),
  },
];

async function halfClose(first: End, second: End): Promise<void> {
  first.connection.write(pattern(10));
  first.connection.end();
  await second.until("the end", (end) => end.ended);
  assert.equal(second.received, 10);
  for (let round = 1; round <= 3; round += 1) {
    second.connection.write(pattern(1000));
    await first.until("data after its own end", (end) => end.received === round * 1000);
  }
  assert.equal(first.closed || second.closed, false);
  second.connection.end();
  await Promise.all([first.untilClosed(), second.untilClosed()]);
  assert.deepEqual([first.events, second.events], [["data", "end", "close"], ["data", "end", "close"]]);
  assert.deepEqual([first.error, second.error], [undefined, undefined]);
}
