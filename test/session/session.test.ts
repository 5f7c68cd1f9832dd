import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TICK_MS, TimerWheel } from "../../src/lib/timer_wheel.ts";
import { fault } from "../../src/mqtt/fault.ts";
import { Pool } from "../../src/pool/pool.ts";
import type { Connection, ConnectionHandler, DialHandler } from "../../src/runtime/types.ts";
import type { SessionContext } from "../../src/session/context.ts";
import { Machine } from "../../src/session/machine.ts";
import { Session } from "../../src/session/session.ts";
import { Outbox } from "../../src/session/outbox.ts";
import * as m from "../support/mqtt_bytes.ts";

/** A connection that takes as much as the test says. */
class Stub implements Connection {
  handler!: ConnectionHandler;
  owner: unknown;
  readonly remoteAddress = "10.0.0.9";
  readonly remotePort = 1;
  bufferedBytes = 0;
  takes = true;
  isPaused = false;
  ended = false;
  wasReset = false;
  probes = 0;
  written: Uint8Array = new Uint8Array(0);
  write(chunk: Uint8Array): boolean {
    if (this.ended || this.wasReset) return true;
    this.written = m.bytes(this.written, chunk);
    return this.takes;
  }
  pause(): void { this.isPaused = true; }
  resume(): void { this.isPaused = false; }
  end(): void { this.ended = true; }
  reset(): void { this.wasReset = true; }
  setKeepAlive(): void { this.probes++; }
}

/** A session that has read nothing yet, in a time of its own. `choose`: what decides where it goes. */
function startSession(choose?: SessionContext["choose"], affinity: "none" | "session" = "none", outbox = new Outbox((flush) => flush()), dialed = () => {}) {
  const wheel = new TimerWheel(1_000);
  let now = 1_000;
  const pool = new Pool({
    name: "p",
    balance: "round_robin",
    affinity,
    brokers: [{ name: "b:1883", scheme: "mqtt", host: "b", port: 1883, weight: 1, username: undefined, password: undefined, passwordFile: undefined }],
    tls: { caFile: undefined, insecure: false },
  });
  const dials: DialHandler[] = [];
  const errors: unknown[] = [];
  const context: SessionContext = {
    limits: {
      connectionsMax: 10, connectTimeoutMs: 10_000, connectSizeMax: 65_536, packetSizeMax: 100_000, handshakeTimeoutMs: 10_000,
      dialTimeoutMs: 5_000, answerTimeoutMs: 15_000, bufferSizeMax: 2_000, stallTimeoutMs: 5_000, drainTimeoutMs: 10_000,
    },
    wheel, outbox, now: () => now, listenerName: "l", pool,
    choose: choose ?? (() => pool.brokers),
    dial: (_broker, _session, handler) => { dialed(); dials.push(handler); return { cancel() {} }; },
    brokerFailed() {}, brokerAnswered() {}, opened() {}, finished() {},
    internalError: (thrown) => errors.push(thrown),
  };
  const client = new Stub();
  const session = new Session(context, client);
  const pass = (milliseconds: number, each: () => void = () => {}) => {
    for (const end = now + milliseconds; now < end; ) {
      now += TICK_MS;
      each();
      wheel.advance(now);
    }
  };
  return { session, client, pool, dials, pass, errors };
}

/** Turns that end at once, until the test holds them: then what it does is one turn, whose end it says itself. */
function turns() {
  let isHeld = false;
  let waiting: (() => void)[] = [];
  const end = () => {
    const calls = waiting;
    waiting = [];
    for (const call of calls) call();
  };
  const outbox = new Outbox((call) => {
    waiting.push(call);
    if (!isHeld) end();
  });
  return { outbox, end, hold: () => { isHeld = true; } };
}

/** A session that is relaying, in a turn that the test ends; what is written in it waits. */
function openSessionInTurn(version: 4 | 5) {
  const { outbox, hold, end: endTurn } = turns();
  const open = openSession(version, 0, undefined, outbox);
  hold();
  const { client, upstream } = open;
  let before: number;
  do { // behind quiet turns some chunks wait for nothing
    before = upstream.written.length;
    client.handler.data(client, m.pingreq());
  } while (upstream.written.length > before);
  client.handler.data(client, m.pingreq()); // two wait, so this was not a quiet one
  endTurn();
  return { ...open, endTurn };
}

/** A session that is relaying. */
function openSession(version: 4 | 5, keepAliveSeconds: number, beforeConnack: (client: Stub) => void = () => {}, outbox?: Outbox) {
  const { session, client, dials, pass, errors } = startSession(undefined, "none", outbox);
  const upstream = new Stub();
  client.handler.data(client, m.connect({ version, keepAliveSeconds }));
  dials[0]?.opened(upstream);
  beforeConnack(client);
  assert.equal(upstream.ended, false);
  upstream.handler.data(upstream, m.connack({ version }));
  return { session, client, upstream, pass, errors };
}

/** A decision that is made when the test says so. */
function decision() {
  type Decided = Awaited<ReturnType<SessionContext["choose"]>>;
  let resolve!: (decided: Decided) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<Decided>((...both) => { [resolve, reject] = both; });
  return { promise, resolve, reject };
}

const causeOf = (session: Session) => (typeof session.machine.cause === "object" ? session.machine.cause.code : session.machine.cause);

describe("Session", () => {
  test("a client that takes a little now and then is slow, not stalled; one that takes nothing is closed after stall_timeout", () => {
    const { session, client, upstream, pass } = openSession(4, 0);
    client.takes = false;
    client.bufferedBytes = 100_000;
    upstream.handler.data(upstream, m.publish({ payload: new Uint8Array(1_000) }));
    assert.equal(upstream.isPaused, true);
    pass(60_000, () => { client.bufferedBytes -= 10; });
    assert.equal(session.machine.state, "relaying");
    pass(12_000);
    assert.equal(causeOf(session), "client_stalled");
  });

  for (const [what, then] of [
    ["the client's FIN", ({ client }) => client.handler.end(client)],
    ["the client's RST", ({ client }) => client.handler.close(client, { code: "reset", message: "connection reset by the peer" })],
    ["an illegal packet", ({ client }) => client.handler.data(client, m.hex("00 00"))],
    ["the broker's FIN", ({ upstream }) => upstream.handler.end(upstream)],
    ["leave", ({ session }) => session.step({ type: "leave", fault: fault("rebalanced", "elsewhere is more room") })],
    ["stop", ({ session }) => session.step({ type: "stop", fault: fault("shutting_down", "stopping") })],
  ] as const satisfies readonly (readonly [string, (open: ReturnType<typeof openSession>) => void])[]) {
    test(`what was read in the turn goes before what follows from it: ${what}`, () => {
      const open = openSessionInTurn(5);
      const { client, upstream } = open;
      const [up, down] = [m.publish({ version: 5, topic: "up" }), m.publish({ version: 5, topic: "down" })];
      const before = { client: client.written, upstream: upstream.written };
      client.handler.data(client, up);
      upstream.handler.data(upstream, down);
      then(open);
      const state = () => [client, upstream].map(({ written, ended, wasReset }) => ({ written, isOver: ended || wasReset }));
      assert.deepEqual(state(), [{ written: before.client, isOver: false }, { written: before.upstream, isOver: false }]);
      open.endTurn();
      assert.deepEqual(upstream.written, m.bytes(before.upstream, up));
      assert.deepEqual(client.written.subarray(0, before.client.length + down.length), m.bytes(before.client, down));
      assert.ok(state().some(({ isOver }) => isOver));
    });
  }

  test("who is gone before the turn's end is dialed for no more; who has to go elsewhere meanwhile, once", () => {
    const { outbox, hold, end } = turns();
    hold();
    const gone = startSession(undefined, "none", outbox);
    gone.client.handler.data(gone.client, m.connect());
    gone.client.handler.close(gone.client, undefined);
    end();
    assert.deepEqual([gone.dials.length, gone.session.machine.state], [0, "closed"]);

    const two = startSession((session) => [...session.pool.brokers, ...session.pool.brokers], "none", outbox);
    two.client.handler.data(two.client, m.connect());
    two.session.step({ type: "deadline" });
    end();
    assert.deepEqual([two.dials.length, two.session.chosen?.sessions, two.session.machine.state], [1, 1, "dialing"]);
  });

  test("a broker that is given up is reset before the next one is dialed, and what waited for it stalls nobody", () => {
    const { outbox, hold, end } = turns();
    hold();
    const { session, client, dials } = startSession(({ pool }) => [...pool.brokers, ...pool.brokers], "none", outbox);
    client.handler.data(client, m.connect());
    end();
    const first = new Stub();
    first.takes = false;
    dials[0]?.opened(first);
    first.handler.close(first, undefined);
    assert.deepEqual([first.wasReset, dials.length], [true, 1]);
    end();
    assert.deepEqual([dials.length, client.isPaused, session.brokerStalledAt], [2, false, 0]);
  });

  test("a client whose broker stalls is read again when that broker is given up", () => {
    const { session, client, dials } = startSession(({ pool }) => [...pool.brokers, ...pool.brokers]);
    client.handler.data(client, m.connect());
    const first = new Stub();
    first.takes = false;
    dials[0]?.opened(first);
    assert.deepEqual([client.isPaused, session.brokerStalledAt], [true, 1_000]);
    first.handler.close(first, undefined);
    assert.deepEqual([client.isPaused, session.brokerStalledAt, dials.length], [false, 0, 2]);
  });

  test("a dial that throws costs its session", () => {
    const { session, client, errors } = startSession(undefined, "none", undefined, () => { throw new Error("broken"); });
    client.handler.data(client, m.connect());
    assert.deepEqual([errors.length, client.wasReset], [1, true]);
    client.handler.close(client, undefined);
    assert.equal(session.machine.state, "closed");
  });

  test("a session that ends in the turn in which a side stalls still reads on for the other's FIN", () => {
    const { session, client, upstream, endTurn } = openSessionInTurn(4);
    client.takes = upstream.takes = false;
    client.handler.data(client, m.publish());
    upstream.handler.data(upstream, m.publish());
    client.handler.data(client, m.hex("00 00"));
    endTurn();
    assert.deepEqual([session.machine.state, client.isPaused, upstream.isPaused], ["closing", false, false]);
  });

  for (const [what, packets, expected] of [
    ["CONNECT alone", [], "reset"],
    ["a packet more", [m.pingreq()], "ended"],
    ["AUTH", [m.hex("f0 00")], "ended"],
    ["the beginning of a packet", [m.publish().subarray(0, 2)], "ended"],
  ] as const) {
    test(`the client's RST behind ${what}: its broker's connection is ${expected}`, () => {
      const { session, client, upstream } = openSession(5, 0);
      for (const packet of packets) client.handler.data(client, packet);
      client.handler.close(client, { code: "reset", message: "connection reset by the peer" });
      assert.deepEqual([upstream.wasReset, upstream.ended], [expected === "reset", expected === "ended"]);
      assert.equal(causeOf(session), "client_lost");
      upstream.handler.close(upstream, undefined);
      assert.equal(session.machine.state, "closed");
    });
  }

  test("the client's RST before its broker has answered: CONNECT may be unread, so the broker gets its FIN behind it", () => {
    const { session, client, dials } = startSession();
    client.handler.data(client, m.connect());
    const upstream = new Stub();
    dials[0]?.opened(upstream);
    client.handler.close(client, { code: "reset", message: "connection reset by the peer" });
    assert.deepEqual([upstream.wasReset, upstream.ended, session.machine.state], [false, true, "closing"]);
  });

  test("the side that does not take what a turn brought is stalled at the turn's end, and its source is paused", () => {
    const { session, client, upstream, endTurn } = openSessionInTurn(4);
    client.takes = false;
    upstream.handler.data(upstream, m.publish({ payload: new Uint8Array(1_000) }));
    assert.equal(upstream.isPaused, false);
    endTurn();
    assert.equal(upstream.isPaused, true);
    assert.notEqual(session.clientStalledAt, 0);
  });

  test("a decision may come later: what the client says meanwhile is kept, and goes to the broker that was chosen", async () => {
    const { promise, resolve } = decision();
    const { client, pool, dials } = startSession(() => promise);
    client.handler.data(client, m.bytes(m.connect({ version: 5 }), m.publish({ version: 5 })));
    assert.equal(dials.length, 0);
    resolve(pool.brokers);
    await promise;
    const upstream = new Stub();
    dials[0]?.opened(upstream);
    upstream.handler.data(upstream, m.connack({ version: 5 }));
    assert.deepEqual(upstream.written, m.bytes(m.connect({ version: 5 }), m.publish({ version: 5 })));
  });

  test("a decision that comes too late, or fails, is a refusal in the client's version; one for a client that has left is nothing", async () => {
    const late = startSession(() => decision().promise);
    late.client.handler.data(late.client, m.connect({ version: 5 }));
    late.pass(16_000);
    assert.deepEqual([causeOf(late.session), late.client.written], ["decision_timeout", m.connack({ version: 5, code: 0x88 })]);

    const { promise, reject } = decision();
    const broken = startSession(() => promise);
    broken.client.handler.data(broken.client, m.connect({ version: 4 }));
    reject(new Error("broken"));
    await promise.catch(() => {});
    await Promise.resolve();
    assert.deepEqual([broken.errors.length, causeOf(broken.session), broken.client.written], [1, "internal_error", m.connack({ version: 4, code: 3 })]);

    const left = decision();
    const gone = startSession(() => left.promise);
    gone.client.handler.data(gone.client, m.connect({ version: 4 }));
    gone.client.handler.close(gone.client, undefined);
    left.resolve(gone.pool.brokers);
    await left.promise;
    assert.deepEqual([gone.dials.length, gone.session.machine.state], [0, "closed"]);
  });

  test("what a client said while its broker stalled counts for its keep-alive", () => {
    const { session, client, upstream, pass } = openSession(4, 2);
    upstream.takes = false;
    upstream.bufferedBytes = 10;
    client.handler.data(client, m.publish());
    assert.equal(client.isPaused, true);
    pass(4_000);
    upstream.handler.drain(upstream);
    pass(2_500);
    assert.equal(session.machine.state, "relaying");
    pass(1_500);
    assert.equal(causeOf(session), "keep_alive_timeout");
  });

  test("a FIN that came before CONNACK is passed on behind what the client had sent; what the broker still says reaches the client", () => {
    const { session, client, upstream } = openSession(4, 0, (early) => {
      early.handler.data(early, m.bytes(m.publish(), m.disconnect()));
      early.handler.end(early);
    });
    assert.deepEqual(upstream.written, m.bytes(m.connect({ version: 4, keepAliveSeconds: 0 }), m.publish(), m.disconnect()));
    assert.ok(upstream.ended);
    assert.equal(client.ended, false);
    upstream.handler.data(upstream, m.puback(1));
    assert.deepEqual(client.written, m.bytes(m.connack({ version: 4 }), m.puback(1)));
    upstream.handler.end(upstream);
    assert.ok(client.ended);
    assert.equal(causeOf(session), "client_closed");
  });

  test("the broker's own DISCONNECT is the last word: none of ours follows when sluice stops", () => {
    const { session, client, upstream } = openSession(5, 0);
    upstream.handler.data(upstream, m.disconnect({ version: 5, code: 0x9d }));
    session.step({ type: "drain", fault: fault("shutting_down", "stopping") });
    assert.deepEqual(client.written, m.bytes(m.connack({ version: 5 }), m.disconnect({ version: 5, code: 0x9d })));
    assert.ok(client.ended && upstream.ended);
  });

  test("sluice's DISCONNECT stands behind the rest of a packet that is half sent", () => {
    const { session, client, upstream } = openSession(5, 0);
    const packet = m.publish({ version: 5, payload: "0123456789" });
    upstream.handler.data(upstream, packet.subarray(0, 9));
    session.step({ type: "drain", fault: fault("shutting_down", "stopping") });
    assert.equal(client.ended, false);
    upstream.handler.data(upstream, m.bytes(packet.subarray(9), m.pingresp()));
    assert.deepEqual(client.written, m.bytes(m.connack({ version: 5 }), packet, m.hex("e0 02 8b 00")));
    assert.ok(client.ended);
  });

  test("leave: behind the packet that is half sent both versions end, MQTT 5 with its reason; what never comes is waited for 5 s", () => {
    for (const version of [4, 5] as const) {
      const { session, client, upstream } = openSession(version, 0);
      const packet = m.publish({ version, payload: "0123456789" });
      upstream.handler.data(upstream, packet.subarray(0, 9));
      session.step({ type: "leave", fault: fault("rebalanced", "elsewhere is more room") });
      assert.deepEqual([client.ended, upstream.ended], [false, false]);
      upstream.handler.data(upstream, m.bytes(packet.subarray(9), m.pingresp()));
      assert.deepEqual(client.written, m.bytes(m.connack({ version }), packet, version === 5 ? m.hex("e0 02 9c 00") : []));
      assert.deepEqual([client.ended, upstream.ended, causeOf(session)], [true, true, "rebalanced"]);
    }
    const { session, client, upstream, pass } = openSession(4, 0);
    upstream.handler.data(upstream, m.publish().subarray(0, 9));
    session.step({ type: "leave", fault: fault("rebalanced", "elsewhere is more room") });
    pass(4_500);
    assert.deepEqual([client.wasReset, upstream.wasReset], [false, false]);
    pass(1_000);
    assert.deepEqual([client.ended, client.wasReset, upstream.wasReset], [false, true, true]);
  });

  test("leave has a deadline of its own, shorter than that of a stop", () => {
    const why = fault("rebalanced", "elsewhere is more room");
    for (const [type, limit] of [["leave", "linger"], ["drain", "half_closed"]] as const) {
      const machine = new Machine();
      for (const input of [{ type: "connect", version: 5 }, { type: "decided", brokers: 1 }, { type: "dialed" }, { type: "accepted" }] as const) machine.step(input);
      assert.deepEqual(machine.step({ type, fault: why }), [{ do: "deadline", limit }, { do: "disconnect_at_boundary", fault: why }]);
      assert.deepEqual(machine.step({ type, fault: why }), [], "once");
    }
  });

  test("leave before the session is open is a refusal; after the broker's own DISCONNECT nothing is said", () => {
    const early = startSession();
    early.client.handler.data(early.client, m.connect({ version: 5 }));
    early.session.step({ type: "leave", fault: fault("broker_maintenance", "taken out") });
    assert.deepEqual(early.client.written, m.connack({ version: 5, code: 0x88 }));
    const { session, client, upstream } = openSession(5, 0);
    upstream.handler.data(upstream, m.disconnect({ version: 5, code: 0x8e }));
    session.step({ type: "leave", fault: fault("session_taken_over", "the client came again") });
    assert.deepEqual(client.written, m.bytes(m.connack({ version: 5 }), m.disconnect({ version: 5, code: 0x8e })));
    assert.ok(client.ended && upstream.ended);
  });

  test("a DISCONNECT behind CONNECT that cannot be read: the session ends as soon as the broker takes it, and nothing goes on behind that", () => {
    const hello = m.connect({ version: 5, keepAliveSeconds: 0 });
    for (const answers of [m.connack({ version: 5 }), m.bytes(m.auth(), m.connack({ version: 5 })), m.bytes(m.auth(), m.auth(), m.publish({ version: 5 }))]) {
      const { session, client, dials, pass, errors } = startSession(undefined, "session");
      client.handler.data(client, m.bytes(hello, m.hex("e0 03 00 00 00")));
      const upstream = new Stub();
      dials[0]?.opened(upstream);
      upstream.handler.data(upstream, answers);
      assert.equal(causeOf(session), "malformed_packet");
      assert.ok(client.ended && upstream.ended);
      assert.deepEqual([upstream.written, client.written.at(-2)], [hello, 0x81]);
      pass(6_000);
      assert.ok(client.wasReset && upstream.wasReset, "no longer than any end");
      assert.deepEqual(errors, []);
    }
  });

  test("without keep-alive the kernel probes both peers after a minute; with one it does not", () => {
    for (const [keepAlive, probes] of [[0, 1], [300, 0]] as const) {
      const { client, upstream, pass } = openSession(4, keepAlive);
      pass(200_000);
      assert.deepEqual([client.probes, upstream.probes], [probes, probes]);
    }
  });

  test("an exception at a deadline is reported and ends this session alone", () => {
    const { client, upstream, pass, errors } = openSession(4, 1);
    client.end = () => { throw new Error("broken"); };
    pass(3_000);
    assert.equal(errors.length, 1);
    assert.ok(client.wasReset && upstream.wasReset);
  });
});
