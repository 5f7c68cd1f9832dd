import { strict as assert } from "node:assert";
import { type Case, dial, Door, End, gone, type Lab, listen, opened, pattern, RawPeer, sendsRst, settle, withPair } from "./lab.ts";

/** How connections end out of order; each is run plain and over TLS. */
export const closeCases: readonly Case[] = [
  {
    name: "reset: the peer's close says so, our own has no error and is not inside the call",
    run: (lab) =>
      withPair(lab, async ({ client, server }) => {
        server.connection.reset();
        assert.equal(server.closed, false, "close inside reset");
        assert.equal(server.connection.write(pattern(10)), true);
        await Promise.all([server.untilClosed(), gone(client)]);
        assert.equal(server.error, undefined);
        assert.deepEqual(server.events, ["close"]);
        if (sendsRst(lab)) assert.equal(client.error?.code, "reset");
      }),
  },
  {
    name: "reset: by the dialling side",
    run: (lab) =>
      withPair(lab, async ({ client, server }) => {
        client.connection.reset();
        assert.equal(client.closed, false, "close inside reset");
        await Promise.all([client.untilClosed(), gone(server)]);
        assert.equal(client.error, undefined);
        if (sendsRst(lab)) assert.equal(server.error?.code, "reset");
      }),
  },
  {
    name: "reset: drops what waits, and no event but close follows",
    run: (lab) =>
      withPair(lab, async ({ client, server }) => {
        server.connection.pause();
        client.fill();
        client.connection.reset();
        assert.equal(client.connection.bufferedBytes, 0);
        await client.untilClosed();
        assert.deepEqual(client.events, ["close"]);
      }),
  },
  {
    name: "reset: inside data ends the data",
    run: (lab) =>
      withPair(lab, async ({ client, server }) => {
        server.onData = () => server.connection.reset();
        client.fill();
        await server.untilClosed();
        assert.deepEqual(server.events, ["data", "close"]);
      }),
  },
  {
    name: "RST while paused closes with the reason, without resume",
    run: (lab) =>
      withResettable(lab, async ({ end, reset }) => {
        end.connection.pause();
        await settle(lab);
        reset();
        await end.untilClosed();
        assert.equal(end.error?.code, "reset");
        assert.match(end.error.message, /reset by the peer/);
      }),
  },
  {
    name: "RST while paused with unread data: no data, and close",
    run: (lab) =>
      withResettable(lab, async ({ end, write, reset }) => {
        end.connection.pause();
        write(pattern(1 << 20));
        await settle(lab);
        reset();
        await end.untilClosed();
        assert.deepEqual(end.events, ["close"]);
        assert.equal(end.error?.code, "reset");
      }),
  },
  {
    name: "RST while paused is met by a write: dropped, and close comes",
    run: (lab) =>
      withResettable(lab, async ({ end, reset }) => {
        end.connection.pause();
        reset();
        for (let i = 0; i < 10; i += 1) end.connection.write(pattern(10));
        await settle(lab);
        end.connection.write(pattern(10));
        await end.untilClosed();
        assert.equal(end.error?.code, "reset");
      }),
  },
  {
    name: "write to a peer that has gone: close with a reason, once",
    run: (lab) =>
      withPair(lab, async ({ client, server }) => {
        // What the server does not read makes its kernel answer with RST when it goes.
        server.connection.pause();
        client.connection.write(pattern(10));
        await settle(lab);
        server.connection.reset();
        await server.untilClosed();
        client.connection.write(pattern(10));
        await gone(client);
        assert.equal(client.events.filter((event) => event === "close").length, 1);
      }),
  },
  {
    name: "close: comes last; afterwards every verb is harmless and an address that was asked for is still known",
    run: (lab) =>
      withPair(lab, async ({ client, server }) => {
        for (const { connection } of [client, server]) assert.equal(connection.remoteAddress, "127.0.0.1");
        client.connection.end();
        server.connection.end();
        await Promise.all([client.untilClosed(), server.untilClosed()]);
        for (const { connection } of [client, server]) {
          assert.equal(connection.write(pattern(10)), true);
          connection.pause();
          connection.resume();
          connection.end();
          connection.reset();
          connection.setKeepAlive(1000);
          assert.equal(connection.bufferedBytes, 0);
          assert.equal(connection.remoteAddress, "127.0.0.1");
          assert.ok(connection.remotePort > 0);
        }
        await settle(lab);
        assert.deepEqual([client.events.at(-1), server.events.at(-1)], ["close", "close"]);
      }),
  },
  {
    name: "a handler that throws: its connection is reset, the error arrives in close, others live on",
    run: (lab) =>
      withPair(lab, async ({ client, server, listener, door }) => {
        const other = await opened(dial(lab, listener.port));
        const otherServer = await door.accepted(1);
        server.onData = () => {
          throw new Error("thrown on purpose");
        };
        client.connection.write(pattern(10));
        await Promise.all([server.untilClosed(), gone(client)]);
        assert.equal(server.error?.code, "internal");
        assert.match(server.error.message, /thrown on purpose/);
        other.connection.write(pattern(10));
        await otherServer.until("data", (end) => end.received === 10);
        other.connection.reset();
        otherServer.connection.reset();
        await Promise.all([other.untilClosed(), otherServer.untilClosed()]);
      }),
  },
  {
    name: "a throw in end and in drain is no different",
    run: (lab) =>
      withPair(lab, async ({ client, server }) => {
        server.connection.pause();
        client.onDrain = () => {
          throw new Error("thrown in drain");
        };
        client.fill();
        server.onEnd = () => {
          throw new Error("thrown in end");
        };
        server.connection.resume();
        await Promise.all([client.untilClosed(), gone(server)]);
        assert.match(client.error?.message ?? "", /thrown in drain/);
      }),
  },
  {
    name: "a throw in opened: the connection is reset",
    async run(lab) {
      const door = new Door();
      const listener = await listen(lab, door);
      const end = new End();
      lab.runtime.connect({ host: "127.0.0.1", port: listener.port }, {
        opened(connection) {
          end.attach(connection);
          throw new Error("thrown in opened");
        },
        failed: () => assert.fail("failed after opened"),
      });
      await end.untilClosed();
      assert.equal(end.error?.code, "internal");
      // Under TLS the server's side of the handshake may not even be done.
      await door.until("accepted or abandoned", ({ ends, abandonments }) => ends.length + abandonments.length === 1);
      if (door.ends[0] !== undefined) await gone(door.ends[0]);
      await listener.close();
    },
  },
];

/** An end whose peer can send RST: plain sockets of `node:net` always can, under TLS it is the adapter's accepting side. */
async function withResettable(
  lab: Lab,
  use: (pair: { end: End; write: (chunk: Uint8Array) => void; reset: () => void }) => Promise<void>,
): Promise<void> {
  if (lab.secure) {
    await withPair(lab, ({ client, server: { connection } }) =>
      use({ end: client, write: (chunk) => void connection.write(chunk), reset: () => connection.reset() }));
    return;
  }
  const door = new Door();
  const listener = await listen(lab, door);
  const { socket } = new RawPeer(listener.port);
  await use({ end: await door.accepted(0), write: (chunk) => void socket.write(chunk), reset: () => void socket.resetAndDestroy() });
  await listener.close();
}
