import assert from "node:assert/strict";
import type { Limits } from "../../src/config/types.ts";
import { TICK_MS, TimerWheel } from "../../src/lib/timer_wheel.ts";
import type { Broker } from "../../src/pool/broker.ts";
import { Pool } from "../../src/pool/pool.ts";
import type { Connection, Dial, DialHandler } from "../../src/runtime/types.ts";
import type { Origin } from "../../src/session/origin.ts";
import { Tunnel, type TunnelContext } from "../../src/session/tunnel.ts";

const LIMITS: Limits = {
  connectionsMax: 1000, connectTimeoutMs: 10_000, connectSizeMax: 65_536, packetSizeMax: 100_000, handshakeTimeoutMs: 10_000,
  dialTimeoutMs: 5_000, answerTimeoutMs: 15_000, bufferSizeMax: 2_000, stallTimeoutMs: 5_000, drainTimeoutMs: 10_000,
};
const ORIGIN: Origin = { transport: "mqtts", address: "10.0.0.9", port: 1, proxyAddress: undefined, tls: undefined };

/** A dial that a tunnel has begun; the test says how it goes on. */
export interface StartedDial {
  readonly broker: Broker;
  readonly handler: DialHandler;
  isCancelled: boolean;
  isSettled: boolean;
}

/** What tunnels need of the world around them, in a time of its own, and what they have told it. */
export class TunnelWorld {
  readonly wheel = new TimerWheel(1_000);
  now = 1_000;
  readonly pool: Pool;
  readonly dials: StartedDial[] = [];
  readonly running = new Set<Tunnel>();
  readonly ended: Tunnel[] = [];
  readonly failures: string[] = [];
  opened = 0;
  onDial: (dial: StartedDial) => void = () => {};

  constructor(brokers: number) {
    const names = Array.from({ length: brokers }, (_, index) => `broker-${index}:8883`);
    this.pool = new Pool({
      name: "p",
      balance: "round_robin",
      brokers: names.map((name) => ({ name, scheme: "mqtt", host: name, port: 8883, weight: 1, username: undefined, password: undefined, passwordFile: undefined })),
      tls: { caFile: undefined, insecure: false },
    });
  }

  begin(client: Connection, hello: Uint8Array, order: readonly Broker[] = this.pool.brokers): Tunnel {
    const tunnel = new Tunnel(this.#context, client, { origin: ORIGIN, hello, pool: this.pool, routeName: undefined, order });
    this.running.add(tunnel);
    tunnel.start();
    return tunnel;
  }

  get #context(): TunnelContext {
    return {
      limits: LIMITS,
      wheel: this.wheel,
      now: () => this.now,
      listenerName: "l",
      dial: (broker, _tunnel, handler) => this.#dial(broker, handler),
      brokerFailed: (broker, { code }) => void this.failures.push(`${broker.name} ${code}`),
      brokerAnswered: (broker) => assert.ok(broker !== undefined),
      opened: () => void this.opened++,
      finished: (tunnel) => {
        assert.ok(this.running.delete(tunnel), "a tunnel finishes once");
        this.ended.push(tunnel);
      },
    };
  }

  #dial(broker: Broker, handler: DialHandler): Dial {
    const dial: StartedDial = { broker, handler, isCancelled: false, isSettled: false };
    this.dials.push(dial);
    this.onDial(dial);
    return { cancel: () => { dial.isCancelled = true; } };
  }

  /** The dial that waits for its end. */
  get dial(): StartedDial {
    const [dial] = this.dials.filter(({ isCancelled, isSettled }) => !isCancelled && !isSettled);
    assert.ok(dial !== undefined, "a dial is under way");
    return dial;
  }

  answer(connection: Connection): void {
    const { dial } = this;
    dial.isSettled = true;
    dial.handler.opened(connection);
  }

  refuse(): void {
    const { dial } = this;
    dial.isSettled = true;
    dial.handler.failed({ code: "refused", message: "connection refused" });
  }

  pass(milliseconds: number, each: () => void = () => {}): void {
    for (const end = this.now + milliseconds; this.now < end; ) {
      this.now += TICK_MS;
      each();
      this.wheel.advance(this.now);
    }
  }

  assertNothingLeft(): void {
    assert.equal(this.running.size, 0, "tunnels are left");
    assert.equal(this.wheel.size, 0, "timers are left");
    for (const broker of this.pool.brokers) assert.equal(broker.sessions, 0, `${broker.name} still counts sessions`);
    for (const { isCancelled, isSettled } of this.dials) assert.ok(isCancelled || isSettled, "a dial is left");
  }
}
