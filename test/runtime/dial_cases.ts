import { strict as assert } from "node:assert";
import { until } from "../support/deadline.ts";
import { blackHole } from "./black_hole.ts";
import {
  type Case, DEADLINE_MS, descriptorCount, dial, Door, End, freePort, listen, opened, refused, settle,
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
        const attempt = lab.runtime.connect({ host: "127.0.0.1", port: port }, {
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
        const attempt = lab.runtime.connect({ host: "127.0.0.1", port: hole.port }, {
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
