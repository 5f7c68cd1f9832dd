import { strict as assert } from "node:assert";
import type { NetworkError } from "../../src/runtime/types.ts";
import {
  type Case, dial, Door, End, hasIPv6, listen, opened, pattern, RawPeer, refused, settle,
} from "./lab.ts";

/** Each is run plain and over TLS. */
export const listenCases: readonly Case[] = [
  {
    name: "listen: an address in use is refused and named",
    async run(lab) {
      const first = await listen(lab, new Door());
      const error = await listen(lab, new Door(), { port: first.port }).then(() => assert.fail("two listeners"), (e: NetworkError) => e);
      assert.deepEqual(error, {
        code: "address_in_use",
        message: `listen on 127.0.0.1:${first.port}: the address is already in use`,
      });
      await first.close();
    },
  },
  {
    name: "listen: every address in use is refused as well, not half of it taken",
    async run(lab) {
      const first = await listen(lab, new Door(), { host: undefined });
      const error = await listen(lab, new Door(), { host: undefined, port: first.port })
        .then(() => assert.fail("two listeners"), (e: NetworkError) => e);
      assert.equal(error.code, "address_in_use");
      assert.ok(error.message.startsWith(`listen on :${first.port}: `), error.message);
      await first.close();
    },
  },
  {
    name: "listen: an address of another machine is refused",
    async run(lab) {
      const error = await listen(lab, new Door(), { host: "192.0.2.1" }).then(() => assert.fail("listening"), (e: NetworkError) => e);
      assert.equal(error.code, "unreachable", error.message);
    },
  },
  {
    name: "listen: on a name that does not exist is refused as one",
    async run(lab) {
      const error = await listen(lab, new Door(), { host: "no..such..name" }).then(() => assert.fail("listening"), (e: NetworkError) => e);
      assert.equal(error.code, "name_not_found", error.message);
    },
  },
  {
    name: "listen: without a host takes IPv4 and IPv6, and an IPv4 peer is shown as IPv4",
    async run(lab) {
      const door = new Door();
      const listener = await listen(lab, door, { host: undefined });
      for (const [index, host] of ["127.0.0.1", ...(hasIPv6() ? ["::1"] : [])].entries()) {
        const client = await opened(dial(lab, listener.port, new End(), host));
        const server = await door.accepted(index);
        assert.equal(server.connection.remoteAddress, host);
        client.connection.reset();
        server.connection.reset();
        await Promise.all([client.untilClosed(), server.untilClosed()]);
        assert.equal(server.connection.remoteAddress, host);
      }
      await listener.close();
    },
  },
  {
    name: "close: of the listener refuses new connections, and those that were accepted live on",
    async run(lab) {
      const door = new Door();
      const listener = await listen(lab, door);
      const client = await opened(dial(lab, listener.port));
      const server = await door.accepted(0);
      await listener.close();
      await listener.close();
      const error = await refused(dial(lab, listener.port));
      assert.equal(error.code, "refused");
      client.connection.write(pattern(10));
      await server.until("data", (end) => end.received === 10);
      client.connection.end();
      await server.until("end", (end) => end.ended);
      server.connection.end();
      await Promise.all([client.untilClosed(), server.untilClosed()]);
      const again = await listen(lab, new Door(), { port: listener.port });
      await again.close();
    },
  },
  {
    name: "admit: false closes the connection, and no word of it follows",
    async run(lab) {
      const door = new Door();
      door.admits = false;
      const listener = await listen(lab, door);
      const peer = new RawPeer(listener.port);
      await peer.untilClosed();
      await settle(lab);
      assert.deepEqual([door.admissions, door.ends.length, door.abandonments.length, peer.received], [1, 0, 0, ""]);
      await listener.close();
    },
  },
  {
    name: "accept: a throw resets that connection and the listener goes on",
    async run(lab) {
      const door = new Door();
      const listener = await listen(lab, door);
      door.onAccept = () => {
        throw new Error("thrown in accept");
      };
      // The reset may come before the dial has seen that it succeeded.
      const first = await dial(lab, listener.port);
      if (first instanceof End) {
        await first.until("end or close", ({ ended, closed }) => ended || closed);
        first.connection.reset();
      }
      const server = await door.accepted(0);
      await server.untilClosed();
      assert.equal(server.error?.code, "internal");
      door.onAccept = () => {};
      const second = await opened(dial(lab, listener.port));
      (await door.accepted(1)).connection.reset();
      await second.until("end or close", ({ ended, closed }) => ended || closed);
      second.connection.reset();
      await listener.close();
    },
  },
];
