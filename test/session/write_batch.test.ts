import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Connection } from "../../src/runtime/types.ts";
import type { Session } from "../../src/session/session.ts";
import { WriteBatch } from "../../src/session/write_batch.ts";
import { seeded } from "../support/seed.ts";

type Line = { readonly written: string[]; readonly connection: Connection };

/** A batch whose turns end when the test says so, and connections whose writes do what the test says. */
function world() {
  const awaited: (() => void)[] = [];
  const batch = new WriteBatch((call) => void awaited.push(call));
  const log: string[] = [];
  const stalled: string[] = [];
  const aborted: unknown[] = [];
  const sessionOf = (name: string, takes: () => boolean = () => true) => {
    const line = (side: string): Line => {
      const written: string[] = [];
      const write = (chunk: Uint8Array) => {
        const text = new TextDecoder().decode(chunk);
        written.push(text);
        log.push(`${name}.${side}:${text}`);
        return takes(); // may throw, or lead to more
      };
      return { written, connection: { owner: undefined, write } as unknown as Connection };
    };
    const client = line("client"), broker = line("broker");
    const session = {
      client: client.connection,
      broker: broker.connection,
      stalled: (side: string) => void stalled.push(`${name}.${side}`),
      abort: (thrown: unknown) => void aborted.push(thrown),
    } as unknown as Session;
    client.connection.owner = broker.connection.owner = session;
    return { client, broker };
  };
  const endTurn = () => {
    for (const call of awaited.splice(0)) call();
  };
  return { batch, log, stalled, aborted, awaited, sessionOf, endTurn };
}

const bytes = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

describe("WriteBatch", () => {
  test("what a turn brings is written at its end, in the order in which it came; the end is awaited once", () => {
    const { batch, log, awaited, sessionOf, endTurn } = world();
    const a = sessionOf("a"), b = sessionOf("b");
    batch.add(a.broker.connection, bytes("1"));
    batch.add(b.client.connection, bytes("2"));
    batch.add(a.broker.connection, bytes("3"));
    assert.deepEqual(log, []);
    assert.equal(awaited.length, 1);
    endTurn();
    assert.deepEqual(log, ["a.broker:1", "b.client:2", "a.broker:3"]);
    endTurn();
    assert.equal(log.length, 3);
  });

  test("whoever flushes first has it written; the turn's end finds nothing, and the next chunks wait for an end of their own", () => {
    const { batch, log, awaited, sessionOf, endTurn } = world();
    const { broker } = sessionOf("a");
    batch.add(broker.connection, bytes("1"));
    batch.flush();
    assert.deepEqual(log, ["a.broker:1"]);
    batch.add(broker.connection, bytes("2"));
    assert.equal(awaited.length, 1);
    endTurn();
    assert.deepEqual(log, ["a.broker:1", "a.broker:2"]);
    batch.add(broker.connection, bytes("3"));
    assert.equal(awaited.length, 1);
  });

  test("after a turn of one chunk the next sixteen are written at once, and then one waits again", () => {
    const { batch, log, sessionOf, endTurn } = world();
    const { client } = sessionOf("a");
    batch.add(client.connection, bytes("x"));
    endTurn();
    for (let count = 2; count <= 17; count++) {
      batch.add(client.connection, bytes("x"));
      assert.equal(log.length, count);
    }
    batch.add(client.connection, bytes("x"));
    assert.equal(log.length, 17);
    batch.add(client.connection, bytes("x"));
    endTurn();
    assert.equal(log.length, 19);
    batch.add(client.connection, bytes("x")); // that turn had two
    assert.equal(log.length, 19);
    endTurn(); // and this one had one
    batch.add(client.connection, bytes("x"));
    assert.equal(log.length, 21);
  });

  test("no more than 256 KiB wait, each time anew", () => {
    const { batch, log, sessionOf } = world();
    const { broker } = sessionOf("a");
    const chunk = new Uint8Array(8_192).fill(50);
    for (const expected of [33, 66]) {
      for (let count = 1; count <= 32; count++) {
        batch.add(broker.connection, chunk);
        assert.equal(log.length, expected - 33);
      }
      batch.add(broker.connection, bytes("1"));
      assert.equal(log.length, expected);
    }
  });

  test("a chunk of 16 KiB waits for nothing, and what came before it goes before it", () => {
    const { batch, log, sessionOf } = world();
    const { broker } = sessionOf("a");
    batch.add(broker.connection, bytes("1"));
    batch.add(broker.connection, new Uint8Array(16_384).fill(50));
    assert.deepEqual(log.map((line) => line.length), ["a.broker:1".length, "a.broker:".length + 16_384]);
  });

  test("the side that does not take it all is told to its own session", () => {
    const { batch, stalled, sessionOf, endTurn } = world();
    const a = sessionOf("a", () => false), b = sessionOf("b");
    batch.add(a.broker.connection, bytes("1"));
    batch.add(b.broker.connection, bytes("2"));
    batch.add(a.client.connection, bytes("3"));
    endTurn();
    assert.deepEqual(stalled, ["a.broker", "a.client"]);
  });

  test("a mistake at one write costs that session, and the others are written", () => {
    const { batch, log, aborted, sessionOf, endTurn } = world();
    const mistake = new Error("ours");
    const a = sessionOf("a", () => { throw mistake; }), b = sessionOf("b");
    batch.add(a.client.connection, bytes("1"));
    batch.add(b.client.connection, bytes("2"));
    endTurn();
    assert.deepEqual(aborted, [mistake]);
    assert.deepEqual(log, ["a.client:1", "b.client:2"]);
  });

  test("a write that leads to a flush changes no order and loses nothing", () => seeded((random) => {
    const { batch, sessionOf, endTurn } = world();
    const takes = () => {
      if (random.chance(0.2)) batch.flush();
      return random.chance(0.5);
    };
    const lines = ["a", "b", "c"].flatMap((name) => Object.values(sessionOf(name, takes)));
    const added = new Map(lines.map((line) => [line, [] as string[]]));
    for (let turn = 0; turn < 2_000; turn++) {
      for (let count = random.integer(1, 5); count > 0; count--) {
        const [line, texts] = random.pick([...added]);
        texts.push(String(turn));
        batch.add(line.connection, bytes(String(turn)));
      }
      if (random.chance(0.3)) batch.flush();
      else endTurn();
    }
    endTurn();
    for (const [{ written }, texts] of added) assert.deepEqual(written, texts);
  }));
});
