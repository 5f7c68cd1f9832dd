import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveConfiguration } from "../../src/config/resolve.ts";
import type { Configuration } from "../../src/config/types.ts";
import { type Broker, REST_MS } from "../../src/pool/broker.ts";
import type { Pool } from "../../src/pool/pool.ts";
import { Chooser } from "../../src/server/chooser.ts";
import type { Session } from "../../src/session/session.ts";

/** A chooser of two brokers, "first" before the other, and where each client would go: the brokers' numbers in order. */
function choosing() {
  const { configuration } = resolveConfiguration({ pools: { default: { brokers: ["a", "b"], balance: "first" } } });
  const chooser = new Chooser(configuration as Configuration, Math.random);
  const pool = chooser.pools.get("default") as Pool;
  const [a, b] = pool.brokers as readonly [Broker, Broker];
  const directions = new Map<string, Broker>();
  chooser.follow(({ clientId }) => directions.get(clientId));
  const choose = (clientId: string, now: number) => {
    const session = { clientId, connect: { cleanStart: true }, pool, decidedBy: undefined } as unknown as Session;
    const order = chooser.choose(session, now) as readonly Broker[];
    return order.map((broker) => pool.brokers.indexOf(broker)).join("") + (session.decidedBy === "redirect" ? " by redirect" : "");
  };
  return { a, b, directions, choose };
}

test("the one client that tries a broker after its rest is one that goes there: a client with a direction of its own takes no trial", () => {
  const { a, b, directions, choose } = choosing();
  directions.set("sent on", b);
  a.failed(0);
  assert.equal(choose("anybody", 1), "10", "it rests");
  assert.equal(choose("sent on", REST_MS + 1), "10 by redirect");
  assert.equal(choose("anybody", REST_MS + 2), "01", "the trial");
  assert.equal(choose("another", REST_MS + 3), "10", "one tries it, the others wait for what that one finds");
});

test("of many clients that are sent to a broker one tries it after its rest", () => {
  const { b, directions, choose } = choosing();
  directions.set("one", b).set("two", b);
  b.failed(0);
  assert.equal(choose("one", 1), "01", "it rests");
  assert.equal(choose("one", REST_MS + 1), "10 by redirect");
  assert.equal(choose("two", REST_MS + 2), "01");
});
