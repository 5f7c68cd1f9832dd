import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AffinityTable, type Opened, expiryIntervalMs, sessionExpiryMs } from "../../src/pool/affinity.ts";
import { createBroker, createPool } from "./pools.ts";

const HOUR = 3_600_000;
const [a, b] = [createBroker("a"), createBroker("b")];
const table = (entriesMax = 100, expiryMaxMs = 24 * HOUR) => new AffinityTable({ entriesMax, expiryMaxMs });
const opened = (more: Partial<Opened> = {}): Opened => ({ clientId: "c", broker: a, cleanStart: false, expiryMs: HOUR, holder: {}, ...more });

describe("sessionExpiryMs", () => {
  test("MQTT 3: by clean session alone; MQTT 5: by the expiry, 0xFFFFFFFF is for ever (section 3.1.2.11.2)", () => {
    const cases = [
      [{ version: 4, cleanStart: true }, 0], [{ version: 3, cleanStart: false }, Infinity],
      [{ version: 5, cleanStart: false }, 0], [{ version: 5, cleanStart: true, expirySeconds: 60 }, 60_000],
      [{ version: 5, cleanStart: true, expirySeconds: 0xffffffff }, Infinity],
    ] as const;
    for (const [connect, expected] of cases) assert.equal(sessionExpiryMs(connect), expected);
  });
});

describe("expiryIntervalMs", () => {
  test("0xFFFFFFFF is for ever, one less is 136 years", () => {
    assert.deepEqual([0, 60, 0xfffffffe, 0xffffffff].map(expiryIntervalMs), [0, 60_000, 4_294_967_294_000, Infinity]);
  });
});

describe("AffinityTable", () => {
  test("remembers while the client is there, and for its session's expiry after it left", () => {
    const affinity = table();
    const holder = {};
    affinity.opened(opened({ holder }), 0);
    assert.equal(affinity.find("c", 50 * HOUR), a, "a connected client does not expire");
    affinity.closed("c", holder, 50 * HOUR);
    assert.equal(affinity.find("c", 51 * HOUR - 1), a);
    assert.equal(affinity.find("c", 51 * HOUR), undefined);
    assert.equal(affinity.size, 0, "what expired is gone when it is asked for");
  });

  test("setExpiry: a client may leave with another expiry, longer or shorter or none, within the cap", () => {
    for (const [expiryMs, kept] of [[2 * HOUR, 2 * HOUR], [1, 1], [0, 0], [Infinity, 24 * HOUR]] as const) {
      const affinity = table();
      const [holder, other] = [{}, {}];
      affinity.opened(opened({ holder }), 0);
      affinity.setExpiry("c", other, 5 * HOUR);
      affinity.setExpiry("nobody", holder, 5 * HOUR);
      affinity.setExpiry("c", holder, expiryMs);
      assert.equal(affinity.find("c", 50 * HOUR), a, "it has not left yet");
      affinity.closed("c", holder, 50 * HOUR);
      affinity.setExpiry("c", holder, 5 * HOUR);
      if (kept > 0) assert.equal(affinity.find("c", 50 * HOUR + kept - 1), a);
      assert.equal(affinity.find("c", 50 * HOUR + kept), undefined);
    }
  });

  test("an endless expiry is capped", () => {
    const affinity = table();
    const holder = {};
    affinity.opened(opened({ holder, expiryMs: Infinity }), 0);
    affinity.closed("c", holder, 0);
    assert.equal(affinity.find("c", 24 * HOUR - 1), a);
    assert.equal(affinity.find("c", 24 * HOUR), undefined);
  });

  test("a client of whom the broker keeps nothing is not in it; nor is one without a client id", () => {
    const affinity = table();
    affinity.opened(opened({ cleanStart: true, expiryMs: 0 }), 0);
    affinity.opened(opened({ clientId: "" }), 0);
    assert.equal(affinity.size, 0);
  });

  test("a session that lasts as long as its connection can be taken over, and is gone with it", () => {
    const affinity = table();
    const holder = {};
    affinity.opened(opened({ holder, expiryMs: 0 }), 0);
    assert.equal(affinity.find("c", HOUR), a);
    affinity.closed("c", holder, HOUR);
    assert.equal(affinity.find("c", HOUR), undefined);
  });

  test("a clean start elsewhere answers whom to clear, once; where the session was, nobody", () => {
    const affinity = table();
    affinity.opened(opened(), 0);
    assert.equal(affinity.opened(opened({ broker: b, cleanStart: true, expiryMs: 0 }), 1)?.broker, a);
    assert.equal(affinity.find("c", 1), undefined);
    assert.equal(affinity.opened(opened({ broker: b, cleanStart: true, expiryMs: 0 }), 2), undefined);
    affinity.opened(opened(), 3);
    assert.equal(affinity.opened(opened({ cleanStart: true, expiryMs: 0 }), 4), undefined, "that broker clears it itself");
  });

  test("a client that had to go elsewhere belongs there now, and the old broker keeps a stale session", () => {
    const affinity = table();
    affinity.opened(opened(), 0);
    assert.equal(affinity.opened(opened({ broker: b }), 1)?.broker, a);
    assert.equal(affinity.find("c", 1), b);
  });

  test("whether somebody still holds the older session is told with it", () => {
    const affinity = table();
    const [older, newer] = [{}, {}];
    affinity.opened(opened({ holder: older }), 0);
    assert.deepEqual(affinity.opened(opened({ broker: b, holder: newer }), 1), { broker: a, isHeld: true });
    affinity.closed("c", older, 2);
    affinity.closed("c", newer, 3);
    assert.deepEqual(affinity.opened(opened({ cleanStart: true }), 4), { broker: b, isHeld: false });
  });

  test("the end of an older connection does not begin the expiry of the newer one", () => {
    const affinity = table();
    const [older, newer] = [{}, {}];
    affinity.opened(opened({ holder: older }), 0);
    affinity.opened(opened({ holder: newer }), 1);
    affinity.closed("c", older, 2);
    assert.equal(affinity.find("c", 10 * HOUR), a);
    affinity.closed("c", newer, 10 * HOUR);
    affinity.closed("c", newer, 10.5 * HOUR);
    assert.equal(affinity.find("c", 11 * HOUR), undefined, "a second end of the same does not prolong it");
  });

  test("bounded: who was not used for longest is forgotten first, and being found is use", () => {
    const affinity = table(3);
    for (const clientId of ["1", "2", "3"]) affinity.opened(opened({ clientId }), 0);
    affinity.find("1", 1);
    affinity.opened(opened({ clientId: "4" }), 2);
    assert.deepEqual(["1", "2", "3", "4"].map((clientId) => affinity.find(clientId, 3)?.name), ["a", undefined, "a", "a"]);
    assert.equal(affinity.size, 3);
  });

  test("bounded in characters too: clients with 64 KiB of an id push out each other, not the memory", () => {
    const affinity = table(2_000);
    for (let index = 0; index < 50; index++) affinity.opened(opened({ clientId: `${index}`.padStart(65_535, "x") }), index);
    assert.equal(affinity.size, 1);
    for (let index = 0; index < 2_000; index++) affinity.opened(opened({ clientId: `client-${index}` }), 100);
    assert.equal(affinity.size, 2_000);
  });

  test("forget lets a client be moved", () => {
    const affinity = table();
    const [older, newer] = [opened(), opened()];
    affinity.opened(older, 0);
    affinity.forget("c", older.holder);
    affinity.forget("c", older.holder);
    assert.equal(affinity.find("c", 0), undefined);
    affinity.opened(newer, 0);
    affinity.forget("c", older.holder);
    assert.equal(affinity.find("c", 0), newer.broker, "the newer connection's is not the older one's to forget");
  });

  test("a pool has one only when it is asked to", () => {
    assert.equal(createPool("first", { a: 1 }).affinity, undefined);
    const { affinity } = createPool("first", { a: 1 }, { affinity: "session", affinityMax: 1 });
    affinity?.opened(opened({ clientId: "1" }), 0);
    affinity?.opened(opened({ clientId: "2" }), 0);
    assert.equal(affinity?.size, 1);
  });
});
