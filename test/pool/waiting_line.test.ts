import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Broker } from "../../src/pool/broker.ts";
import { WaitingLine } from "../../src/pool/waiting_line.ts";
import { seeded } from "../support/seed.ts";
import { createBroker } from "./pools.ts";

interface Person { readonly name: string }
const roomAt = (broker: Broker) => (_: Person, only: Broker | undefined) => broker.hasRoom && (only === undefined || only === broker);
const people = (count: number): Person[] => Array.from({ length: count }, (_, index) => ({ name: `${index}` }));

describe("WaitingLine (U11)", () => {
  test("first come, first served, and only when there is room", () => {
    const line = new WaitingLine<Person>({ waitersMax: 10, waitMs: 1_000 });
    const broker = createBroker("a", { sessionsMax: 1 });
    const [first, second] = people(2);
    line.join(first!, 0);
    line.join(second!, 1);
    broker.sessions = 1;
    assert.equal(line.next(roomAt(broker)), undefined);
    broker.sessions = 0;
    assert.equal(line.next(roomAt(broker)), first);
    broker.sessions = 1;
    assert.equal(line.next(roomAt(broker)), undefined);
    assert.equal(line.size, 1);
  });

  test("bounded: whoever comes to a full line is turned away", () => {
    const line = new WaitingLine<Person>({ waitersMax: 2, waitMs: 1_000 });
    const all = people(3);
    assert.deepEqual(all.map((person) => line.join(person, 0)), [true, true, false]);
    line.leave(all[0]!);
    line.leave(all[2]!);
    assert.equal(line.join(all[2]!, 1), true);
    assert.equal(new WaitingLine<Person>({ waitersMax: 0, waitMs: 1 }).join(all[0]!, 0), false, "no line at all");
  });

  test("whoever waited too long is out, in the order of coming", () => {
    const line = new WaitingLine<Person>({ waitersMax: 10, waitMs: 1_000 });
    const [first, second, third] = people(3);
    line.join(first!, 0);
    line.join(second!, 400);
    line.join(third!, 700);
    assert.deepEqual(line.expire(999), []);
    assert.deepEqual(line.expire(1_400), [first, second]);
    assert.deepEqual(line.expire(1_699), []);
    assert.equal(line.size, 1);
  });

  test("one who wants a certain broker lets others pass for other ones, and keeps the place", () => {
    const line = new WaitingLine<Person>({ waitersMax: 10, waitMs: 1_000 });
    const [a, b] = [createBroker("a"), createBroker("b")];
    const [first, second, third] = people(3);
    line.join(first!, 0, b);
    line.join(second!, 0);
    line.join(third!, 0, a);
    assert.equal(line.next(roomAt(a)), second);
    assert.equal(line.next(roomAt(a)), third);
    assert.equal(line.next(roomAt(a)), undefined);
    assert.equal(line.next(roomAt(b)), first);
  });

  test("whatever happens, the line is never over its bounds and serves everybody at most once", () => seeded((random) => {
    const line = new WaitingLine<Person>({ waitersMax: 20, waitMs: 500 });
    const broker = createBroker("a", { sessionsMax: 5 });
    const inside = new Set<Person>();
    const out = (person: Person | undefined) => person === undefined || assert.ok(inside.delete(person), `${person.name} was let in twice`);
    for (let now = 0; now < 5_000; now += random.integer(0, 60)) {
      for (const person of line.expire(now)) out(person);
      broker.sessions = random.integer(0, 5);
      if (random.chance(0.6)) {
        const person = { name: `${now}` };
        if (line.join(person, now)) inside.add(person);
      }
      if (random.chance(0.3)) out(line.next(roomAt(broker)));
      if (random.chance(0.1) && inside.size > 0) {
        const person = random.pick([...inside]);
        line.leave(person);
        inside.delete(person);
      }
      assert.equal(line.size, inside.size);
      assert.ok(line.size <= 20);
    }
  }));
});
