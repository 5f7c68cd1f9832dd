import { strict as assert } from "node:assert";
import { until } from "../support/deadline.ts";
import { blackHole } from "./black_hole.ts";
import {
  type Case, certificate, connect, DEADLINE_MS, descriptorCount, dial, Door, End, freePort, hasIPv6, type Lab, listen, opened, refused, settle, trusted,
} from "./lab.ts";

/** Each is run plain and over TLS. */
export const dialCases: readonly Case[] = [
  {
    name: "connect: to a port where nobody listens fails as refused and says where",
    async run(lab) {
      const port = await freePort(lab);
      const error = await refused(dial(lab, port));
      assert.equal(error.code, "refused");
      assert.equal(error.message, `connect to 127.0.0.1:${port}: connection refused`);
    },
  },
  {
    // An empty label is refused by the resolver itself: no query leaves the machine.
    name: "connect: to a name that does not exist fails as name_not_found",
    async run(lab) {
      const error = await refused(dial(lab, 1883, new End(), "no..such..name"));
      assert.equal(error.code, "name_not_found", error.message);
      assert.match(error.message, /^connect to no\.\.such\.\.name:1883: /);
    },
  },
  {
    name: "connect: to a name makes one connection, not one for each of its addresses",
    async run(lab) {
      const door = new Door();
      const listener = await listen(lab, door, { host: undefined });
      const end = await opened(dial(lab, listener.port, new End(), "localhost"));
      await settle(lab);
      assert.equal(door.admissions, 1);
      end.connection.reset();
      await end.untilClosed();
      (await door.accepted(0)).connection.reset();
      await listener.close();
    },
  },
  {
    name: "cancel: right after connect, and neither opened nor failed is called",
    async run(lab) {
      const door = new Door();
      const listener = await listen(lab, door);
      const never = () => assert.fail("called after cancel");
      for (const port of [listener.port, await freePort(lab)]) {
        const attempt = connect(lab, "127.0.0.1", port, trusted, {
          opened: never,
          failed: never,
        });
        attempt.cancel();
        attempt.cancel();
      }
      await settle(lab);
      assert.equal(lab.runtime.descriptorsDangling, 0);
      await listener.close();
    },
  },
  {
    name: "cancel: a dial into a black hole gives its descriptor back, or it is counted",
    async run(lab) {
      const hole = await blackHole();
      try {
        await settle(lab);
        const before = descriptorCount();
        const never = () => assert.fail("opened or failed in a black hole");
        const attempt = connect(lab, "127.0.0.1", hole.port, trusted, {
          opened: never,
          failed: never,
        });
        await settle(lab);
        attempt.cancel();
        await settle(lab);
        const held = lab.runtime.descriptorsDangling;
        assert.ok(descriptorCount() <= before + held, `${descriptorCount()} descriptors, ${before} before, ${held} counted as dangling`);
      } finally {
        hole.close();
      }
      // Nobody listens there any more, so the kernel's next attempt is answered.
      await until(() => lab.runtime.descriptorsDangling === 0, DEADLINE_MS, "the dangling descriptor to end");
    },
  },
];

/** TLS only. */
export const trustCases: readonly Case[] = [
  {
    name: "trust: the system's authorities do not know the certificate: an unknown authority",
    run: (lab) => distrusted(lab, "server", { insecure: false }, "127.0.0.1", /unknown authority/),
  },
  {
    name: "trust: self-signed",
    run: (lab) => distrusted(lab, "self_signed", trusted, "127.0.0.1", /self-signed/),
  },
  {
    name: "trust: expired",
    run: (lab) => distrusted(lab, "expired", trusted, "127.0.0.1", /has expired/),
  },
  {
    name: "trust: a certificate for another name says which",
    run: (lab) => distrusted(lab, "other", trusted, "localhost", /not for "localhost", it is for DNS:broker\.example/),
  },
  {
    name: "trust: a certificate without the address",
    run: (lab) => distrusted(lab, "other", trusted, "127.0.0.1", /not for "127\.0\.0\.1"/),
  },
  {
    name: "trust: insecure takes any certificate",
    async run(lab) {
      for (const name of ["self_signed", "expired", "other"]) {
        const door = new Door();
        const listener = await listen(lab, door, { tls: certificate(name) });
        const end = await opened(dial(lab, listener.port, new End(), "127.0.0.1", { insecure: true }));
        end.connection.reset();
        await end.untilClosed();
        await listener.close();
      }
    },
  },
  {
    name: "trust: a name and an IPv6 address of the certificate are accepted",
    async run(lab) {
      for (const host of ["localhost", "127.0.0.1", ...(hasIPv6() ? ["::1"] : [])]) {
        const door = new Door();
        const listener = await listen(lab, door, { host: host === "localhost" ? undefined : host });
        const end = await opened(dial(lab, listener.port, new End(), host));
        end.connection.reset();
        await end.untilClosed();
        await listener.close();
      }
    },
  },
  {
    name: "TLS to a plain port that answers in its own way fails as tls",
    async run(lab) {
      const door = new Door();
      door.onAccept = (end) => void end.connection.write(new TextEncoder().encode("220 welcome to something else\r\n"));
      const listener = await listen({ ...lab, secure: false }, door);
      const error = await refused(dial(lab, listener.port));
      assert.equal(error.code, "tls", error.message);
      await (await door.accepted(0)).until("its end", (end) => end.ended || end.closed);
      door.ends[0]!.connection.reset();
      await listener.close();
    },
  },
  {
    name: "TLS to a plain port that hangs up fails",
    async run(lab) {
      const door = new Door();
      door.onAccept = (end) => end.connection.reset();
      const listener = await listen({ ...lab, secure: false }, door);
      const error = await refused(dial(lab, listener.port));
      assert.ok(["reset", "tls"].includes(error.code), error.code);
      await listener.close();
    },
  },
  {
    name: "cancel: during a handshake that is never answered frees the connection",
    async run(lab) {
      const door = new Door();
      const listener = await listen({ ...lab, secure: false }, door);
      const attempt = connect(lab, "127.0.0.1", listener.port, trusted, {
        opened: () => assert.fail("opened without a handshake"),
        failed: () => assert.fail("failed after cancel"),
      });
      const end = await door.accepted(0);
      await end.until("the ClientHello", ({ received }) => received > 0);
      attempt.cancel();
      await end.until("the end", ({ ended, closed }) => ended || closed);
      end.connection.reset();
      await listener.close();
    },
  },
];

async function distrusted(lab: Lab, name: string, tls: typeof trusted, host: string, message: RegExp): Promise<void> {
  const door = new Door();
  const listener = await listen(lab, door, { tls: certificate(name) });
  const error = await refused(dial(lab, listener.port, new End(), host, tls));
  assert.equal(error.code, "tls", error.message);
  assert.match(error.message, message);
  assert.ok(error.message.startsWith(`connect to ${host}:${listener.port}: `), error.message);
  await listener.close();
}
