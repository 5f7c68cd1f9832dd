import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Connection, ConnectionHandler } from "../../src/runtime/types.ts";
import * as m from "../support/mqtt_bytes.ts";
import { TunnelWorld } from "./tunnel_world.ts";

/** A connection that does only what the test tells it to. */
class Stub implements Connection {
  handler!: ConnectionHandler;
  owner: unknown;
  readonly remoteAddress = "10.0.0.9";
  readonly remotePort = 1;
  bufferedBytes = 0;
  takes = true;
  isPaused = false;
  isEnded = false;
  isReset = false;
  written: Uint8Array = new Uint8Array(0);

  write(chunk: Uint8Array): boolean {
    this.written = m.bytes(this.written, chunk);
    if (!this.takes) this.bufferedBytes += chunk.length;
    return this.takes;
  }

  pause(): void { this.isPaused = true; }
  resume(): void { this.isPaused = false; }
  end(): void { this.isEnded = true; }
  reset(): void { this.isReset = true; }
  setKeepAlive(): void {}

  /** The peer says it. */
  says(chunk: Uint8Array): void {
    assert.equal(this.isPaused, false, "nothing is read of a paused connection");
    this.handler.data(this, chunk);
  }

  /** The peer has taken all that waited. */
  drains(): void {
    this.takes = true;
    this.bufferedBytes = 0;
    this.handler.drain(this);
  }
}

const HELLO = m.bytes("a ClientHello and what came behind it");

function openTunnel() {
  const world = new TunnelWorld(1);
  const [client, broker] = [new Stub(), new Stub()];
  const tunnel = world.begin(client, HELLO);
  world.answer(broker);
  return { world, client, broker, tunnel };
}

describe("Tunnel", () => {
  test("the hello comes first at the broker, and nothing of the client is read before there is one", () => {
    const world = new TunnelWorld(2);
    const [client, broker] = [new Stub(), new Stub()];
    world.begin(client, HELLO);
    assert.equal(client.isPaused, true);
    world.refuse();
    assert.deepEqual(world.failures, ["broker-0:8883 broker_unreachable"]);
    world.answer(broker);
    assert.equal(client.isPaused, false);
    client.says(m.bytes("more"));
    assert.deepEqual(broker.written, m.bytes(HELLO, "more"));
    assert.equal(world.opened, 1);
  });

  test("U1: no broker is left: the client is reset, once", () => {
    const world = new TunnelWorld(2);
    const client = new Stub();
    const tunnel = world.begin(client, HELLO);
    world.refuse();
    world.refuse();
    assert.ok(client.isReset);
    assert.equal(tunnel.cause?.code, "broker_unreachable");
    world.assertNothingLeft();
  });

  test("R8: a client that vanishes while the broker is dialed takes the dial with it", () => {
    const world = new TunnelWorld(2);
    const client = new Stub();
    const tunnel = world.begin(client, HELLO);
    world.refuse();
    client.handler.close(client, { code: "reset", message: "connection reset by the peer" });
    assert.equal(tunnel.cause?.code, "client_lost");
    assert.equal(tunnel.isOpen, false);
    world.assertNothingLeft();
    assert.deepEqual(world.failures, ["broker-0:8883 broker_unreachable"]);
  });

  test("brokers that do not answer share answer_timeout, each with dial_timeout at most", () => {
    const world = new TunnelWorld(9);
    const client = new Stub();
    const tunnel = world.begin(client, HELLO);
    world.pass(17_000);
    assert.equal(world.dials.length, 3);
    assert.equal(tunnel.cause?.code, "broker_timeout");
    assert.ok(client.isReset);
    world.assertNothingLeft();
  });

  for (const side of ["client", "broker"] as const) {
    test(`R4, R5: a ${side} that takes nothing is cut after stall_timeout; one that takes a little now and then is not`, () => {
      const { world, tunnel, ...sides } = openTunnel();
      const [slow, quick] = side === "client" ? [sides.client, sides.broker] : [sides.broker, sides.client];
      slow.takes = false;
      quick.says(new Uint8Array(100_000));
      assert.equal(quick.isPaused, true);
      world.pass(60_000, () => { slow.bufferedBytes -= 10; });
      world.pass(4_500);
      assert.equal(world.ended.length, 0);
      world.pass(7_000);
      assert.equal(tunnel.cause?.code, `${side}_stalled`);
      assert.ok(slow.isReset && quick.isReset);
      world.assertNothingLeft();
    });
  }

  test("R4: a client that takes nothing is cut, however much it says itself meanwhile", () => {
    const { world, client, broker, tunnel } = openTunnel();
    client.takes = false;
    broker.says(new Uint8Array(100_000));
    world.pass(6_000, () => {
      if (tunnel.cause !== undefined) return;
      broker.takes = false;
      client.says(m.bytes("x"));
      broker.drains();
    });
    assert.equal(tunnel.cause?.code, "client_stalled");
    world.assertNothingLeft();
  });

  test("what is on its way at the moment of each look is no stall", () => {
    const { world, client, broker, tunnel } = openTunnel();
    client.takes = false;
    broker.says(new Uint8Array(100_000));
    client.drains();
    let said = 0;
    world.pass(30_000, () => {
      broker.says(new Uint8Array(10));
      client.bufferedBytes = 10 + (++said % 7);
    });
    assert.equal(tunnel.cause, undefined);
    tunnel.end(undefined);
    world.assertNothingLeft();
  });

  test("R7: a FIN is passed on, and the other direction goes on for stall_timeout at most", () => {
    const { world, client, broker, tunnel } = openTunnel();
    client.handler.end(client);
    assert.ok(broker.isEnded);
    assert.equal(client.isEnded, false);
    broker.says(m.bytes("the rest"));
    assert.deepEqual(client.written, m.bytes("the rest"));
    broker.handler.end(broker);
    assert.ok(client.isEnded);
    client.handler.close(client, undefined);
    broker.handler.close(broker, undefined);
    assert.equal(tunnel.cause, undefined);
    world.assertNothingLeft();
  });

  for (const side of ["client", "broker"] as const) {
    test(`R7: a ${side} that does not close when the other has is reset after stall_timeout, and named`, () => {
      const { world, tunnel, ...sides } = openTunnel();
      const [stubborn, other] = side === "client" ? [sides.client, sides.broker] : [sides.broker, sides.client];
      other.handler.end(other);
      assert.ok(stubborn.isEnded);
      world.pass(6_000);
      assert.ok(stubborn.isReset);
      assert.equal(tunnel.cause?.code, `${side}_stalled`);
      world.assertNothingLeft();
    });
  }

  test("a broker that is gone while the client waits for it: the client is read again, so that its FIN is seen", () => {
    const { world, client, broker, tunnel } = openTunnel();
    broker.takes = false;
    client.says(new Uint8Array(100_000));
    assert.equal(client.isPaused, true);
    broker.handler.end(broker);
    broker.handler.close(broker, undefined);
    assert.ok(client.isEnded);
    assert.equal(client.isPaused, false);
    client.says(m.bytes("to nobody"));
    client.handler.end(client);
    client.handler.close(client, undefined);
    assert.equal(tunnel.cause, undefined);
    world.assertNothingLeft();
  });

  test("a mistake of ours in a handler is called one", () => {
    const { world, client, broker, tunnel } = openTunnel();
    broker.handler.close(broker, { code: "internal", message: "Error: broken" });
    client.handler.close(client, undefined);
    assert.equal(tunnel.cause?.code, "internal_error");
    world.assertNothingLeft();
  });
});
