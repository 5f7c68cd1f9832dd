import { strict as assert } from "node:assert";
import { connect as connectTls } from "node:tls";
import type { Connection } from "../../src/runtime/types.ts";
import { until } from "../support/deadline.ts";
import { clientHello, openBench } from "./bench.ts";
import { type Case, DEADLINE_MS, pattern, RawPeer, settle, trusted } from "./lab.ts";
import { OpensslClient } from "./openssl.ts";
import { only, VERSIONS, visit, withGate } from "./secure_lab.ts";
import { gathering, slicing, stageBefore } from "./stage.ts";

/** TLS only: how a server's handshake is begun on an open connection, and how it ends. */
export const secureCases: readonly Case[] = [
  ...[1, 5, 100, 1000].map((size): Case => ({
    name: `secureServer: a handshake in pieces of ${size} bytes, the first piece as it came`,
    run: (lab) =>
      withGate(lab, {}, async ({ port, facts }) => {
        const stage = await stageBefore(port, () => slicing(size));
        for (const version of VERSIONS) assert.equal((await visit(stage.port, only(version))).served, true);
        assert.deepEqual(facts.map((it) => it.version), [...VERSIONS]);
        await stage.close();
      }),
  })),
  {
    name: "secureServer: data in the same segment as the end of the handshake is delivered after secured, and after a pause in it",
    async run(lab) {
      const bench = await openBench(lab);
      const stage = await stageBefore(bench.port, () => gathering(5000));
      bench.onSecured = (end) => end.connection.pause();
      const sent = pattern(6000);
      // In 1.2 the client has to wait for our end of the handshake.
      const client = connectTls({ port: stage.port, host: "127.0.0.1", servername: "localhost", ca: trusted.ca, ...only("1.3") }, () => client.write(sent));
      client.on("error", () => {});
      const end = await bench.untilSecured();
      await settle(lab);
      assert.deepEqual(end.events, []);
      end.connection.resume();
      await end.until("the data", ({ received }) => received === sent.length);
      client.destroy();
      await bench.close();
      await stage.close();
    },
  },
  {
    name: "secureServer: what came before the ClientHello in the same segment is the caller's",
    async run(lab) {
      const prefix = Buffer.from("PROXY UNKNOWN\r\n");
      for (const version of VERSIONS) {
        const bench = await openBench(lab);
        bench.cut = prefix.length;
        let isFirst = true;
        const stage = await stageBefore(bench.port, () => (chunk, send) => {
          send(isFirst ? Buffer.concat([prefix, chunk]) : chunk);
          isFirst = false;
        });
        const visiting = visit(stage.port, only(version));
        assert.equal((await visiting).served, true);
        await bench.close();
        await stage.close();
      }
    },
  },
  {
    name: "secureServer: begun later, on a paused connection, with the rest of the ClientHello behind it",
    async run(lab) {
      const bench = await openBench(lab);
      const stage = await stageBefore(bench.port, () => slicing(40));
      bench.isLate = true;
      const visiting = visit(stage.port);
      assert.equal((await visiting).served, true);
      await bench.close();
      await stage.close();
    },
  },
  {
    name: "secureServer: the connection that it took over is dead: no event, and every verb is harmless",
    async run(lab) {
      const bench = await openBench(lab);
      const visiting = visit(bench.port);
      const end = await bench.untilSecured();
      const [plain] = bench.plain as [Connection];
      assert.notEqual(plain, end.connection);
      assert.equal(plain.write(pattern(10)), true);
      plain.pause();
      plain.resume();
      plain.end();
      plain.reset();
      plain.setKeepAlive(1000);
      assert.equal(plain.bufferedBytes, 0);
      assert.equal(plain.remoteAddress, "127.0.0.1");
      assert.equal(end.connection.remotePort, plain.remotePort);
      assert.equal((await visiting).served, true);
      await end.until("end or close", ({ ended, closed }) => ended || closed);
      assert.equal(bench.strays, 0);
      await bench.close();
    },
  },
  {
    name: "secureServer: on a connection that is over already fails as reset, later than the call",
    async run(lab) {
      for (const ending of ["end", "reset"] as const) {
        const bench = await openBench(lab);
        bench.onPlain = (connection) => connection[ending]();
        const peer = new RawPeer(bench.port);
        peer.socket.write(await clientHello());
        const error = await bench.untilFailed(0);
        assert.deepEqual(error, { code: "reset", message: "TLS handshake: the peer hung up" });
        await peer.untilClosed();
        await bench.close();
      }
    },
  },
  ...(["FIN", "RST"] as const).flatMap((ending) =>
    (["a part of the ClientHello", "the ClientHello", "our answer"] as const).map((moment): Case => ({
      name: `secureServer: ${ending} after ${moment} fails as reset`,
      async run(lab) {
        const bench = await openBench(lab);
        const hello = await clientHello();
        const peer = new RawPeer(bench.port);
        peer.socket.write(moment === "a part of the ClientHello" ? hello.subarray(0, 50) : hello);
        if (moment === "our answer") await until(() => peer.received.length > 0, DEADLINE_MS, "an answer");
        else await bench.until("the beginning", () => bench.handshakes.length === 1);
        if (ending === "FIN") peer.socket.end();
        else peer.socket.resetAndDestroy();
        const error = await bench.untilFailed(0);
        assert.deepEqual(error, { code: "reset", message: "TLS handshake: the peer hung up" });
        await peer.untilClosed();
        await bench.close();
      },
    })),
  ),
  {
    name: "secureServer: what is not TLS fails as tls and says so, whatever it is",
    async run(lab) {
      const hello = await clientHello();
      const cases: readonly (readonly [Uint8Array, RegExp])[] = [
        [Buffer.from("\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", "latin1"), /what came is not TLS$/],
        [Buffer.from("GET /mqtt HTTP/1.1\r\nHost: localhost\r\n\r\n"), /what came is not TLS$/],
        [new Uint8Array(600).fill(0x16), /^TLS handshake: /],
        [Buffer.from("160301ffff0100", "hex"), /^TLS handshake: /], // a record longer than any may be
        [Buffer.concat([hello.subarray(0, 5), new Uint8Array(hello.length - 5)]), /^TLS handshake: /],
        [Buffer.concat([hello, Buffer.from("this is no record of TLS")]), /^TLS handshake: /],
      ];
      const bench = await openBench(lab);
      for (const [index, [bytes, message]] of cases.entries()) {
        const peer = new RawPeer(bench.port);
        peer.socket.write(bytes);
        const error = await bench.untilFailed(index);
        assert.equal(error.code, "tls", error.message);
        assert.match(error.message, message);
        await peer.untilClosed();
      }
      await bench.close();
    },
  },
  {
    name: "cancel: of a handshake closes the connection, and nobody is called",
    async run(lab) {
      const hello = await clientHello();
      for (const bytes of [hello.subarray(0, 50), hello, Buffer.from("not TLS")]) {
        const bench = await openBench(lab);
        // What is no TLS is cancelled in the turn in which it began: afterwards it has failed.
        bench.cancelsAtOnce = bytes !== hello;
        const peer = new RawPeer(bench.port);
        peer.socket.write(bytes);
        await bench.until("the beginning", () => bench.handshakes.length === 1);
        if (bytes === hello) await until(() => peer.received.length > 0, DEADLINE_MS, "an answer");
        bench.handshakes[0]!.cancel();
        bench.handshakes[0]!.cancel();
        await peer.untilClosed();
        await settle(lab);
        assert.deepEqual([bench.ends.length, bench.errors.length, bench.strays], [0, 0, 0]);
        await bench.close();
      }
    },
  },
  {
    name: "secureServer: handshakes that stand still harm no others, and all can be given up",
    async run(lab) {
      const bench = await openBench(lab);
      const hello = await clientHello();
      const silent = Array.from({ length: 20 }, (_, index) => {
        const peer = new RawPeer(bench.port);
        peer.socket.write(index % 2 === 0 ? hello : hello.subarray(0, 50));
        return peer;
      });
      await bench.until("their handshakes", () => bench.handshakes.length === 20);
      const pending = [...bench.handshakes];
      const visits = await Promise.all(Array.from({ length: 20 }, () => visit(bench.port)));
      assert.equal(visits.every(({ served }) => served), true);
      assert.equal(silent.some(({ closed }) => closed), false);
      for (const handshake of pending) handshake.cancel();
      await Promise.all(silent.map((peer) => peer.untilClosed()));
      assert.deepEqual([bench.ends.length, bench.errors.length], [20, 0]);
      await bench.close();
    },
  },
  {
    name: "secureServer: a listener that closes leaves handshakes under way alone",
    async run(lab) {
      const bench = await openBench(lab);
      let goOn = (): void => {};
      const gate = new Promise<void>((resolve) => (goOn = resolve));
      const stage = await stageBefore(bench.port, () => (chunk, send) => {
        if (bench.handshakes.length === 0) send(chunk);
        else void gate.then(() => send(chunk));
      });
      const visiting = visit(stage.port);
      await bench.until("the beginning", () => bench.handshakes.length === 1);
      await bench.shut();
      goOn();
      assert.equal((await visiting).served, true);
      await bench.close();
      await stage.close();
    },
  },
  {
    name: "cancel: after secured does nothing any more",
    async run(lab) {
      const bench = await openBench(lab);
      const visiting = visit(bench.port);
      await bench.untilSecured();
      bench.handshakes[0]!.cancel();
      assert.equal((await visiting).served, true);
      await bench.close();
    },
  },
  {
    name: "ALPN: our order of preference decides; who offers nothing is served",
    run: (lab) =>
      withGate(lab, { alpn: ["mqtt", "x-other", "http/1.1"] }, async ({ port, facts }) => {
        for (const version of VERSIONS) {
          const offers = [["http/1.1", "mqtt"], ["unknown", "http/1.1"], ["x-other"], []];
          for (const ALPNProtocols of offers) {
            const { served, alpn } = await visit(port, { ...only(version), ...(ALPNProtocols.length > 0 && { ALPNProtocols }) });
            const expected = ["mqtt", "http/1.1", "x-other", undefined][offers.indexOf(ALPNProtocols)];
            assert.deepEqual([served, alpn, facts.at(-1)!.alpn], [true, expected, expected]);
          }
        }
      }),
  },
  {
    name: "ALPN: who offers only others is refused",
    run: (lab) =>
      withGate(lab, { alpn: ["mqtt"] }, async ({ port, settled }) => {
        for (const [index, version] of VERSIONS.entries()) {
          const { served } = await visit(port, { ...only(version), ALPNProtocols: ["h2", "mqttx"] });
          assert.equal(served, false);
          assert.deepEqual(await settled(index), { code: "tls", message: "TLS handshake: no common application protocol (ALPN)" });
        }
      }),
  },
  {
    name: "ALPN: where none is configured an offer is not answered",
    run: (lab) =>
      withGate(lab, {}, async ({ port, facts }) => {
        for (const version of VERSIONS) {
          const { served, alpn } = await visit(port, { ...only(version), ALPNProtocols: ["mqtt"] });
          assert.deepEqual([served, alpn, facts.at(-1)!.alpn], [true, undefined, undefined]);
        }
      }),
  },
  {
    name: "minVersion 1.2 refuses 1.1 and says so",
    needs: "openssl",
    run: (lab) =>
      withGate(lab, {}, async ({ port, settled }) => {
        const client = new OpensslClient(port, "-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0");
        try {
          assert.deepEqual(await settled(0), { code: "tls", message: "TLS handshake: no common version of TLS" });
        } finally {
          client.kill();
        }
      }),
  },
  {
    name: "minVersion 1.3 refuses 1.2 and says so",
    run: (lab) =>
      withGate(lab, { minVersion: "1.3" }, async ({ port, facts, settled }) => {
        assert.equal((await visit(port, only("1.2"))).served, false);
        assert.deepEqual(await settled(0), { code: "tls", message: "TLS handshake: no common version of TLS" });
        assert.equal((await visit(port, only("1.3"))).served, true);
        assert.equal(facts[0]!.version, "1.3");
      }),
  },
];
