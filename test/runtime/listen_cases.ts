import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import type { NetworkError } from "../../src/runtime/types.ts";
import {
  type Case, certificate, dial, Door, End, hasIPv6, type Lab, listen, opened, pattern, RawPeer, refused, settle,
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

/** TLS only: every handshake that was admitted ends in exactly one `accept` or `abandoned`. */
export const handshakeCases: readonly Case[] = [
  {
    name: "handshake: plain bytes to a TLS port are abandoned as tls",
    run: (lab) => abandoned(lab, (peer) => peer.socket.write("\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"), "tls"),
  },
  {
    name: "handshake: a silent peer is closed at the deadline",
    run: (lab) => abandoned(lab, () => {}, "timeout", 200),
  },
  {
    name: "handshake: half a ClientHello is closed at the deadline",
    run: (lab) => abandoned(lab, (peer) => peer.socket.write(Buffer.from("16030102000100", "hex")), "timeout", 200),
  },
  {
    name: "handshake: a peer that resets",
    run: (lab) => abandoned(lab, (peer) => peer.socket.resetAndDestroy(), "reset", 1000),
  },
  {
    name: "handshake: a peer that hangs up",
    run: (lab) => abandoned(lab, (peer) => peer.socket.end(), undefined, 1000),
  },
  {
    name: "handshake: a listener that closes gives up those under way",
    async run(lab) {
      const door = new Door();
      const listener = await listen(lab, door);
      const peer = new RawPeer(listener.port);
      await door.until("admitted", ({ admissions }) => admissions === 1);
      await listener.close();
      await peer.untilClosed();
      await settle(lab);
      assert.deepEqual([door.ends.length, door.abandonments.map(({ error }) => error.code)], [0, ["cancelled"]]);
    },
  },
  {
    name: "handshake: many silent peers and good ones side by side",
    async run(lab) {
      const door = new Door();
      const listener = await listen(lab, door, { handshakeTimeoutMs: 1000 });
      const silent = Array.from({ length: 20 }, () => new RawPeer(listener.port));
      const good = await Promise.all(Array.from({ length: 20 }, () => opened(dial(lab, listener.port))));
      await Promise.all(silent.map((peer) => peer.untilClosed()));
      await door.until("all settled", ({ abandonments }) => abandonments.length === 20);
      assert.deepEqual([door.admissions, door.ends.length], [40, 20]);
      assert.equal(good.filter((end) => end.closed || end.ended).length, 0);
      for (const end of [...good, ...door.ends]) end.connection.reset();
      await Promise.all([...good, ...door.ends].map((end) => end.untilClosed()));
      await listener.close();
    },
  },
  {
    name: "listen: a key that does not belong to the certificate is refused",
    async run(lab) {
      const tls = { cert: certificate("server").cert, key: certificate("other").key };
      const error = await listen(lab, new Door(), { tls }).then(() => assert.fail("listening"), (e: NetworkError) => e);
      assert.equal(error.code, "tls", error.message);
    },
  },
  {
    name: "listen: what is not PEM is refused",
    async run(lab) {
      const tls = { cert: "nonsense", key: "nonsense" };
      const error = await listen(lab, new Door(), { tls }).then(() => assert.fail("listening"), (e: NetworkError) => e);
      assert.equal(error.code, "tls", error.message);
    },
  },
  {
    name: "handshake: TLS 1.2 and 1.3 are spoken, 1.1 is not",
    async run(lab) {
      for (const [version, spoken] of [["-tls1_1", false], ["-tls1_2", true], ["-tls1_3", true]] as const) {
        const door = new Door();
        door.onAccept = (end) => (end.onEnd = () => end.connection.end());
        const listener = await listen(lab, door);
        const ran = await openssl(["s_client", "-connect", `127.0.0.1:${listener.port}`, version, "-cipher", "DEFAULT:@SECLEVEL=0"]);
        if (ran) {
          await door.until("settled", ({ ends, abandonments }) => ends.length + abandonments.length === 1);
          assert.equal(door.ends.length === 1, spoken, version);
        }
        for (const end of door.ends) end.connection.reset();
        await listener.close();
      }
    },
  },
];

/** A peer that never finishes its handshake: its socket is closed, and exactly one `abandoned` tells. */
async function abandoned(lab: Lab, act: (peer: RawPeer) => void, code: string | undefined, handshakeTimeoutMs = 5_000): Promise<void> {
  const door = new Door();
  const listener = await listen(lab, door, { handshakeTimeoutMs });
  const peer = new RawPeer(listener.port);
  await door.until("admitted", ({ admissions }) => admissions === 1);
  act(peer);
  await door.until("abandoned", ({ abandonments }) => abandonments.length > 0);
  await peer.untilClosed();
  await settle(lab);
  assert.deepEqual([door.ends.length, door.abandonments.length], [0, 1]);
  const [{ address, error }] = door.abandonments as [(typeof door.abandonments)[0]];
  assert.equal(address, "127.0.0.1");
  if (code !== undefined) assert.equal(error.code, code, error.message);
  await listener.close();
}

/** Runs it with nothing on its input; false where there is no openssl. */
function openssl(words: string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn("openssl", words, { stdio: ["ignore", "ignore", "ignore"] });
    child.once("error", () => resolve(false));
    child.once("close", () => resolve(true));
  });
}
