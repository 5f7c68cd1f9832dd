import assert from "node:assert/strict";
import { createServer, type AddressInfo } from "node:net";
import { test } from "node:test";
import { runtime } from "#runtime";
import { runDemo } from "../../src/cli/demo.ts";
import { DemoBroker } from "../../src/cli/demo/broker.ts";
import { DEVICE_KINDS } from "../../src/cli/demo/device_kinds.ts";
import type { Output } from "../../src/cli/demo/output.ts";
import { createPaint } from "../../src/lib/color.ts";
import type { ConnectionHandler, Listener, Runtime, Signal } from "../../src/runtime/types.ts";
import { until, within } from "../support/deadline.ts";
import * as mqtt from "../support/mqtt_bytes.ts";
import { RawClient } from "../support/raw_client.ts";

/** A demo that runs ten or twenty times as fast, with its output gathered instead of shown. */
class RunningDemo {
  out: string[] = [];
  talk: string[] = [];
  /** Listeners and connections of the proxy and its devices that are open now. */
  readonly open = new Set<unknown>();
  readonly exit: Promise<number>;
  #signals = new Map<Signal, () => void>();

  /** After so many messages nobody reads stdout any more. */
  constructor({ linesMax = Infinity, ...options }: { forMs?: number; port?: number; secondMs?: number; linesMax?: number } = {}) {
    const output: Output = (descriptor, line) => {
      if (descriptor === 1 && this.out.length === linesMax) return false;
      (descriptor === 1 ? this.out : this.talk).push(line);
      return true;
    };
    this.exit = runDemo({ runtime: this.#watched(), output, forMs: options.forMs, paint: createPaint(false), port: options.port ?? 0, secondMs: options.secondMs ?? 50 });
  }

  get signalCount(): number {
    return this.#signals.size;
  }

  interrupt(): void {
    this.#signals.get("SIGINT")?.();
  }

  async talks(what: RegExp): Promise<void> {
    await until(() => this.talk.some((line) => what.test(line)), 20_000, `a line like ${what}`);
  }

  async shows(what: RegExp): Promise<void> {
    await until(() => this.out.some((line) => what.test(line)), 20_000, `a message like ${what}`);
  }

  async port(): Promise<number> {
    await this.talks(/sluice, port \d+/);
    return Number(/sluice, port (\d+)/.exec(this.talk.join("\n"))?.[1]);
  }

  #watched(): Runtime {
    const { open } = this;
    return {
      name: runtime.name,
      version: runtime.version,
      capabilities: runtime.capabilities,
      descriptorsDangling: 0,
      system: {
        arguments: [],
        env: () => undefined,
        processId: 1,
        readFile: (path) => runtime.system.readFile(path),
        fileStamp: (path) => runtime.system.fileStamp(path),
        onSignal: (signal, callback) => {
          this.#signals.set(signal, callback);
          return () => void this.#signals.delete(signal);
        },
        now: () => runtime.system.now(),
        wallClock: () => runtime.system.wallClock(),
        random: () => runtime.system.random(),
        descriptorsMax: () => runtime.system.descriptorsMax(),
        writeOut: () => assert.fail("not through the screen"),
        writeError: () => assert.fail("not through the screen"),
        errorIsTerminal: false,
        outIsTerminal: false,
        exit: () => { throw new Error("the demo ended the process"); },
        machine: () => runtime.system.machine(),
      },
      createTlsContext: () => assert.fail("TLS, which nobody asked for"),
      secureServer: () => assert.fail("TLS, which nobody asked for"),
      secureClient: () => assert.fail("TLS, which nobody asked for"),
      async listen(options, handler): Promise<Listener> {
        assert.equal(options.host, "127.0.0.1");
        const listener = await runtime.listen(options, handler);
        open.add(listener);
        return { port: listener.port, close: () => listener.close().finally(() => open.delete(listener)) };
      },
      connect(options, handler) {
        assert.equal(options.host, "127.0.0.1");
        const key = {};
        open.add(key);
        const dial = runtime.connect(options, {
          opened(connection) {
            // Its owner may change the handler at any time; our own look at `close` stays in front.
            let { handler: owners } = connection;
            const watching: ConnectionHandler = {
              data: (at, chunk) => owners.data(at, chunk),
              drain: (at) => owners.drain(at),
              end: (at) => owners.end(at),
              close: (at, error) => {
                open.delete(key);
                owners.close(at, error);
              },
            };
            Object.defineProperty(connection, "handler", { get: () => watching, set: (next: ConnectionHandler) => { owners = next; } });
            handler.opened(connection);
          },
          failed(error) {
            open.delete(key);
            handler.failed(error);
          },
        });
        const cancel = () => {
          open.delete(key); // neither of them is called then
          dial.cancel();
        };
        return { cancel };
      },
    };
  }
}

test("runDemo with a duration ends by itself: messages passed, both brokers had clients, nothing stays open", async () => {
  const demo = new RunningDemo({ forMs: 1_500, secondMs: 400 });
  assert.equal(await within(20_000, demo.exit, "the demo's end"), 0, demo.talk.join("\n"));
  const last = demo.talk.at(-1) ?? "";
  const numbers = /(\d+) messages \(A (\d+), B (\d+)\), (\d+) seen by the dashboard; \d+ connections \(A (\d+), B (\d+)\)/.exec(last)?.slice(1).map(Number) ?? [];
  assert.equal(numbers.length, 6, last);
  assert.ok(numbers.every((each) => each > 0), last);
  assert.equal(numbers[0], demo.out.length);
  assert.equal(demo.open.size, 0);
  assert.equal(demo.signalCount, 0);
});

test("runDemo shows what each device says with its version of MQTT, and where it went", async () => {
  const demo = new RunningDemo();
  for (const { clientId, version, topic } of DEVICE_KINDS) {
    const name = { 3: "3.1", 4: "3.1.1", 5: "5" }[version];
    await demo.talks(new RegExp(`${clientId} \\(MQTT ${name}\\) goes to broker [AB]`));
    if (topic !== undefined) await demo.shows(new RegExp(`${clientId} +→ [AB]  ${topic} +\\S`));
  }
  demo.interrupt();
  assert.equal(await within(20_000, demo.exit, "the demo's end"), 0);
});

test("runDemo lets visitors of MQTT 3.1.1 and 5 join, and both see all messages wherever they land", async (t) => {
  const demo = new RunningDemo({ secondMs: 60_000 }); // no outage comes between
  const port = await demo.port();
  const visitors = [];
  for (const version of [4, 5] as const) {
    const client = await RawClient.open({ port });
    t.after(() => client.close());
    await client.send(mqtt.connect({ version, clientId: `visitor-${version}` }));
    assert.equal((await client.takePacket()).type, 2);
    await client.send(mqtt.subscribe([["visits/#", 0]], { version }));
    assert.equal((await client.takePacket()).type, 9);
    await demo.talks(new RegExp(`welcome! visitor-${version} `));
    visitors.push(client);
  }
  for (const [index, version] of ([4, 5] as const).entries()) {
    await visitors[index]!.send(mqtt.publish({ version, topic: "visits/hello", payload: `from ${version}` }));
    for (const client of visitors) {
      const packet = await client.takePacket();
      assert.equal(packet.type, 3);
      assert.match(new TextDecoder().decode(packet.whole), new RegExp(`visits/hello\0?from ${version}$`));
    }
    await demo.shows(new RegExp(`visitor-${version}\\s+→ [AB]  visits/hello\\s+from ${version}$`));
  }
  demo.interrupt();
  assert.equal(await within(20_000, demo.exit, "the demo's end"), 0);
});

test("runDemo stops a broker and its clients come back on the other", async () => {
  const demo = new RunningDemo({ secondMs: 100 });
  await demo.talks(/broker B stops/);
  const before = demo.talk.length;
  await until(() => demo.talk.slice(before).some((line) => /thermometer .* goes to broker A/.test(line)), 20_000, "the thermometer on broker A");
  await demo.talks(/sluice finds broker B down/);
  await demo.talks(/broker B is back/);
  demo.interrupt();
  assert.equal(await within(20_000, demo.exit, "the demo's end"), 0);
  assert.equal(demo.open.size, 0);
});

test("runDemo takes a free port when the one it wants is taken, and says so", async (t) => {
  const occupant = createServer();
  await new Promise<void>((resolve) => void occupant.listen({ host: "127.0.0.1", port: 0 }, resolve));
  t.after(() => new Promise((resolve) => occupant.close(resolve)));
  const { port } = occupant.address() as AddressInfo;
  const demo = new RunningDemo({ port });
  await demo.talks(new RegExp(`Port ${port} is taken`));
  assert.notEqual(await demo.port(), port);
  demo.interrupt();
  assert.equal(await within(20_000, demo.exit, "the demo's end"), 0);
});

test("runDemo ends quietly when nobody reads its messages any more", async () => {
  const demo = new RunningDemo({ linesMax: 1 });
  assert.equal(await within(20_000, demo.exit, "the demo's end"), 0);
  assert.equal(demo.out.length, 1);
  assert.doesNotMatch(demo.talk.join("\n"), /The demo is over/);
  assert.equal(demo.open.size, 0);
});

test("runDemo fails when no message passed in its time", async () => {
  const demo = new RunningDemo({ forMs: 1, secondMs: 60_000 });
  assert.equal(await within(20_000, demo.exit, "the demo's end"), 70);
  assert.equal(demo.open.size, 0);
});

test("a demo broker takes a message once, however much comes with it in one piece", async (t) => {
  const taken: string[] = [];
  const broker = await DemoBroker.start("b", (_broker, clientId, { topic }) => void taken.push(`${clientId} ${topic}`));
  t.after(() => broker.close());
  const publish = (topic: string) => mqtt.publish({ topic, payload: "x" });
  for (let round = 0; round < 20; round++) {
    const client = await RawClient.open({ port: broker.port });
    await client.send(mqtt.connect({ clientId: `c${round}` }));
    await client.expect(mqtt.connack());
    await client.send(mqtt.bytes(publish("a"), publish("b")));
    await client.send(mqtt.bytes(publish("c"), publish("d"), mqtt.pingreq()));
    await client.expect(mqtt.pingresp());
    await client.send(mqtt.bytes(publish("e"), mqtt.disconnect()));
    await client.expectEnd();
    await client.close();
    assert.deepEqual(taken.splice(0), ["a", "b", "c", "d", "e"].map((topic) => `c${round} ${topic}`));
  }
});
