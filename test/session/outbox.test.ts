import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Connection } from "../../src/runtime/types.ts";
import type { Session } from "../../src/session/session.ts";
import { Outbox } from "../../src/session/outbox.ts";
import { seeded } from "../support/seed.ts";

type Line = { readonly written: string[]; readonly connection: Connection };

/** An outbox whose turns end when the test says so, and connections that do what the test says. */
function world() {
  const awaited: (() => void)[] = [];
  const outbox = new Outbox((call) => void awaited.push(call));
  const log: string[] = [];
  const stalled: string[] = [];
  const aborted: unknown[] = [];
  const sessionOf = (name: string, takes: () => boolean = () => true) => {
    const line = (side: string): Line => {
      const written: string[] = [];
      const did = (what: string) => {
        log.push(`${name}.${side}:${what}`);
        return takes(); // may throw, or lead to more
      };
      const write = (chunk: Uint8Array) => {
        const text = new TextDecoder().decode(chunk);
        written.push(text);
        return did(text);
      };
      return { written, connection: { owner: undefined, write, end: () => void did("FIN"), reset: () => void did("RST") } as unknown as Connection };
    };
    const client = line("client"), broker = line("broker");
    const session = {
      client: client.connection,
      broker: broker.connection,
      dial: () => void log.push(`${name}:dial`),
      stalled: (connection: Connection) => void stalled.push(`${name}.${connection === client.connection ? "client" : "broker"}`),
      abort: (thrown: unknown) => void aborted.push(thrown),
    } as unknown as Session;
    client.connection.owner = broker.connection.owner = session;
    return { session, client, broker };
  };
  const endTurn = () => {
    for (const call of awaited.splice(0)) call();
  };
  return { outbox, log, stalled, aborted, awaited, sessionOf, endTurn };
}

const bytes = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

describe("Outbox", () => {
  test("what a turn brings is written at its end, in the order in which it came; the end is awaited once", () => {
    const { outbox, log, awaited, sessionOf, endTurn } = world();
    const a = sessionOf("a"), b = sessionOf("b");
    outbox.write(a.broker.connection, bytes("1"));
    outbox.write(b.client.connection, bytes("2"));
    outbox.write(a.broker.connection, bytes("3"));
    assert.deepEqual(log, []);
    assert.equal(awaited.length, 1);
    endTurn();
    assert.deepEqual(log, ["a.broker:1", "b.client:2", "a.broker:3"]);
    endTurn();
    assert.equal(log.length, 3);
  });

  test("bytes first, then all else in its order: of who has bytes, and of who has none", () => {
    const { outbox, log, awaited, sessionOf, endTurn } = world();
    const a = sessionOf("a"), b = sessionOf("b"), c = sessionOf("c");
    outbox.dial(c.session);
    outbox.write(a.broker.connection, bytes("1"));
    outbox.reset(a.broker.connection);
    outbox.write(b.client.connection, bytes("2"));
    outbox.end(b.client.connection);
    outbox.write(a.client.connection, bytes("3"));
    assert.deepEqual([log, awaited.length], [[], 1]);
    endTurn();
    assert.deepEqual(log, ["a.broker:1", "b.client:2", "a.client:3", "c:dial", "a.broker:RST", "b.client:FIN"]);
    endTurn();
    assert.equal(log.length, 6);
  });

  test("what comes at a turn's end belongs to the next", () => {
    const { outbox, log, awaited, sessionOf, endTurn } = world();
    let again = true;
    const a = sessionOf("a", () => {
      if (again) outbox.end(a.client.connection);
      again = false;
      return true;
    });
    outbox.reset(a.broker.connection);
    endTurn();
    assert.deepEqual([log, awaited.length], [["a.broker:RST"], 1]);
    endTurn();
    assert.deepEqual(log, ["a.broker:RST", "a.client:FIN"]);
  });

  test("after a turn of one chunk the next sixteen are written at once, and then one waits again", () => {
    const { outbox, log, sessionOf, endTurn } = world();
    const { client } = sessionOf("a");
    outbox.write(client.connection, bytes("x"));
    endTurn();
    for (let count = 2; count <= 17; count++) {
      outbox.write(client.connection, bytes("x"));
      assert.equal(log.length, count);
    }
    outbox.write(client.connection, bytes("x"));
    assert.equal(log.length, 17);
    outbox.write(client.connection, bytes("x"));
    endTurn();
    assert.equal(log.length, 19);
    outbox.write(client.connection, bytes("x")); // that turn had two
    assert.equal(log.length, 19);
    endTurn(); // and this one had one chunk
    for (let count = 1; count <= 16; count++) outbox.write(client.connection, bytes("x"));
    outbox.write(client.connection, bytes("x"));
    outbox.end(client.connection);
    assert.equal(log.length, 36);
    endTurn(); // as that one, but for an end
    outbox.write(client.connection, bytes("x"));
    assert.equal(log.length, 38);
    endTurn(); // and this one
    outbox.write(client.connection, bytes("x"));
    assert.equal(log.length, 40);
  });

  test("no more than 256 KiB wait, each time anew", () => {
    const { outbox, log, sessionOf } = world();
    const { broker } = sessionOf("a");
    const chunk = new Uint8Array(8_192).fill(50);
    for (const expected of [32, 64]) {
      for (let count = 1; count <= 31; count++) {
        outbox.write(broker.connection, chunk);
        assert.equal(log.length, expected - 32);
      }
      outbox.write(broker.connection, chunk);
      assert.equal(log.length, expected);
    }
    for (let count = 1; count <= 5_000; count++) outbox.write(broker.connection, bytes("1")); // what a chunk takes beside its bytes counts too
    assert.ok(log.length > 4_000);
  });

  test("a chunk of 16 KiB waits for nothing, and what came before it goes before it", () => {
    const { outbox, log, sessionOf } = world();
    const { broker } = sessionOf("a");
    outbox.write(broker.connection, bytes("1"));
    outbox.write(broker.connection, new Uint8Array(16_384).fill(50));
    assert.deepEqual(log.map((line) => line.length), ["a.broker:1".length, "a.broker:".length + 16_384]);
  });

  test("the side that does not take it all is told to its own session", () => {
    const { outbox, stalled, sessionOf, endTurn } = world();
    const a = sessionOf("a", () => false), b = sessionOf("b");
    outbox.write(a.broker.connection, bytes("1"));
    outbox.write(b.broker.connection, bytes("2"));
    outbox.write(a.client.connection, bytes("3"));
    endTurn();
    assert.deepEqual(stalled, ["a.broker", "a.client"]);
  });

  test("a mistake at one costs that session, and the others have what is theirs", () => {
    const { outbox, log, aborted, sessionOf, endTurn } = world();
    const mistake = new Error("ours");
    const a = sessionOf("a", () => { throw mistake; }), b = sessionOf("b");
    outbox.write(a.client.connection, bytes("1"));
    outbox.write(b.client.connection, bytes("2"));
    outbox.end(a.client.connection);
    outbox.end(b.client.connection);
    endTurn();
    assert.deepEqual(aborted, [mistake, mistake]);
    assert.deepEqual(log, ["a.client:1", "b.client:2", "a.client:FIN", "b.client:FIN"]);
  });

  test("whatever a write leads to changes no order and loses nothing", () => seeded((random) => {
    const { outbox, sessionOf, endTurn } = world();
    const large = new Uint8Array(16_384).fill(48);
    const added = new Map<Line, string[]>();
    const add = () => {
      const [line, texts] = random.pick([...added]);
      const chunk = random.chance(0.05) ? large : bytes(String(texts.length)); // a large one is written at once, and all that waits before it
      texts.push(new TextDecoder().decode(chunk));
      outbox.write(line.connection, chunk);
    };
    const takes = () => {
      if (random.chance(0.2)) add();
      return random.chance(0.5);
    };
    for (const name of ["a", "b", "c"]) {
      const { client, broker } = sessionOf(name, takes);
      added.set(client, []).set(broker, []);
    }
    for (let turn = 0; turn < 2_000; turn++) {
      for (let count = random.integer(1, 5); count > 0; count--) add();
      endTurn();
    }
    for (const [{ written }, texts] of added) assert.deepEqual(written, texts);
  }));
});
