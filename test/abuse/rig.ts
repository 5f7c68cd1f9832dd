import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { runtime } from "#runtime";
import { readMaterial } from "../../src/config/material.ts";
import { resolveConfiguration } from "../../src/config/resolve.ts";
import type { ConfigInput } from "../../src/config/schema.ts";
import type { FaultCode } from "../../src/mqtt/fault.ts";
import { createLog, type Log } from "../../src/observe/log.ts";
import { createProxyServer } from "../../src/server/proxy.ts";
import type { SessionEnd, SessionInfo } from "../../src/server/report.ts";
import type { ProxyServer } from "../../src/server/types.ts";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { type BrokerConnection, type BrokerOptions, RecordingBroker } from "./recording_broker.ts";

export interface RigOptions {
  /** Brokers that record, one for each entry; default: one that answers. */
  readonly brokers?: readonly BrokerOptions[];
  /** URLs of other brokers, tried in front of those. */
  readonly urls?: readonly string[];
  readonly limits?: ConfigInput["limits"];
  /** A TLS listener in place of the plain one. */
  readonly tls?: boolean;
  /** Other tables in place of the usual ones; the URLs are those of the brokers, in their order. */
  readonly configure?: (urls: readonly string[]) => Partial<ConfigInput>;
  /** The log without its rate limit. */
  readonly everyLine?: boolean;
  /** How honest clients come in; default: by TCP, or TLS, to the first listener. */
  readonly enter?: (rig: Rig, options: { allowHalfOpen?: boolean }) => Promise<RawClient>;
}

const TLS_FILES = "test/fixtures/tls";

/** Sluice in this very process, on this very runtime, with recording brokers behind it. */
export class Rig {
  readonly proxy: ProxyServer;
  readonly brokers: readonly RecordingBroker[];
  readonly #told: Told;
  readonly #enter: NonNullable<RigOptions["enter"]>;
  readonly #clients: RawClient[] = [];
  #descriptorsAtStart = 0;
  #canaries = 0;

  constructor(proxy: ProxyServer, brokers: readonly RecordingBroker[], told: Told, enter: NonNullable<RigOptions["enter"]>) {
    this.proxy = proxy;
    this.brokers = brokers;
    this.#told = told;
    this.#enter = enter;
  }

  /** Lines of the JSON log. */
  get log(): readonly string[] {
    return this.#told.log;
  }

  get opens(): readonly SessionInfo[] {
    return this.#told.opens;
  }

  get ends(): readonly SessionEnd[] {
    return this.#told.ends;
  }

  get broker(): RecordingBroker {
    return this.brokers[0] as RecordingBroker;
  }

  get port(): number {
    return this.portOf(0);
  }

  /** Of the listener with this number. */
  portOf(listener: number): number {
    return this.proxy.addresses[listener]?.port as number;
  }

  /** A connection to the proxy on which MQTT can begin. */
  async open(options: { allowHalfOpen?: boolean } = {}): Promise<RawClient> {
    return this.keep(await this.#enter(this, options));
  }

  /** A bare TCP connection to the listener with this number. */
  async knock(listener = 0, options: { allowHalfOpen?: boolean } = {}): Promise<RawClient> {
    return this.keep(await RawClient.open({ port: this.portOf(listener), ...options }));
  }

  /** The client is closed with the test. */
  keep(client: RawClient): RawClient {
    this.#clients.push(client);
    return client;
  }

  /** How many were turned away for this reason. */
  refusals(code: FaultCode): number {
    return this.proxy.refusals.get(code) ?? 0;
  }

  /** Waits for a line of the log that has all of these words; answers the first. */
  async line(...words: readonly string[]): Promise<string> {
    const find = () => this.log.find((line) => words.every((word) => line.includes(word)));
    await until(() => find() !== undefined, 5_000, `a line with ${JSON.stringify(words)}`).catch((error: Error) => {
      throw new Error(`${error.message}; the log is:\n${this.log.join("\n")}`);
    });
    return find() as string;
  }

  /** A session that is open on both sides. */
  async session(fields: m.ConnectFields = {}, options: { allowHalfOpen?: boolean } = {}): Promise<{ client: RawClient; broker: BrokerConnection; connect: Uint8Array }> {
    const index = this.broker.connections.length;
    const client = await this.open(options);
    const connect = m.connect(fields);
    await client.send(connect);
    const connack = await client.takePacket();
    assert.deepEqual([connack.type, connack.body[1]], [2, 0], "CONNACK with success");
    return { client, broker: await this.broker.connection(index), connect };
  }

  /** An honest client is served. Whatever was dialed before it has reached the broker before it. */
  async canary(): Promise<void> {
    const client = await this.#enter(this, {});
    const clientId = `canary-${++this.#canaries}`;
    await client.send(m.connect({ clientId }));
    await client.expect(m.connack());
    await client.send(m.publish({ qos: 1, packetId: 7 }));
    await client.expect(m.puback(7));
    await client.send(m.disconnect());
    await client.expectEnd();
    await client.close();
  }

  forgetLines(): void {
    this.#told.log.length = 0;
  }

  /** Connections at the broker that are no canary's. */
  get contacts(): BrokerConnection[] {
    return this.brokers.flatMap((broker) => broker.connections).filter((connection) => !connection.clientId.startsWith("canary-"));
  }

  /** Everything of the test is over: no session, no connection and no descriptor is left. */
  async settled(milliseconds = 5_000): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    await until(() => this.proxy.sessionCount === 0, milliseconds, `${this.proxy.sessionCount} sessions to end`);
    for (const { connections } of this.brokers) for (const { socket } of connections) socket.resume(); // a paused one sees no end
    await until(() => this.brokers.every((broker) => broker.isIdle), milliseconds, "the brokers' connections to close");
    const base = this.#descriptorsAtStart;
    if (base > 0) {
      await until(() => countDescriptors() <= base, milliseconds, `the descriptors to be ${base} again`).catch((error: Error) => {
        throw new Error(`${error.message}, they are ${countDescriptors()}`);
      });
    }
  }

  /** From now on `settled` compares with this moment. */
  async markBase(): Promise<void> {
    await until(() => this.proxy.sessionCount === 0 && this.brokers.every((broker) => broker.isIdle), 5_000, "the canary to be gone");
    this.#descriptorsAtStart = countDescriptors();
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    await this.proxy.stopNow();
    await Promise.all(this.brokers.map((broker) => broker.close()));
  }
}

/** Open descriptors of this process; 0 where the system does not tell. */
export function countDescriptors(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return 0;
  }
}

/** What the proxy has told. */
interface Told {
  readonly log: string[];
  readonly opens: SessionInfo[];
  readonly ends: SessionEnd[];
}

export async function startRig(scope: TestScope, options: RigOptions = {}): Promise<Rig> {
  const brokers = await Promise.all((options.brokers ?? [{}]).map((broker) => RecordingBroker.start(broker)));
  const tls = options.tls === true;
  const urls = [...(options.urls ?? []), ...brokers.map((broker) => `mqtt://127.0.0.1:${broker.port}`)];
  const input: ConfigInput = {
    listeners: [{ listen: `${tls ? "mqtts" : "mqtt"}://127.0.0.1:0`, ...(tls && { tls: { cert: `${TLS_FILES}/server.pem`, key: `${TLS_FILES}/server.key` } }) }],
    pools: { default: { brokers: urls } },
    limits: { drain_timeout: "1s", ...options.limits },
    ...options.configure?.(urls),
  };
  const resolved = resolveConfiguration(input);
  assert.deepEqual(resolved.problems ?? [], []);
  const read = await readMaterial(resolved.configuration as NonNullable<typeof resolved.configuration>, runtime.system);
  if (read.problems !== undefined) throw new Error(JSON.stringify(read.problems));
  const told: Told = { log: [], opens: [], ends: [] };
  const { configuration, material } = read;
  const proxy = createProxyServer({
    runtime,
    configuration,
    material,
    log: logInto(told.log, options.everyLine === true),
    onOpen: (info) => told.opens.push(info),
    onClose: (end) => told.ends.push(end),
  });
  const enter = options.enter ?? ((rig, more) => RawClient.open({ port: rig.port, ...(tls && { tls: {} }), ...more }));
  const rig = new Rig(proxy, brokers, told, enter);
  scope.after(() => rig.close());
  assert.equal(await proxy.start(), undefined);
  return rig;
}

/** The program's own log into an array; its rate limit goes by a clock of its own. */
function logInto(lines: string[], everyLine: boolean): Log {
  const { system } = runtime;
  let hours = 0;
  return createLog(
    { level: "info", format: "json", color: "never" },
    {
      writeError: (line) => void lines.push(line),
      errorIsTerminal: false,
      env: () => undefined,
      now: () => (everyLine ? 3_600_000 * ++hours : system.now()),
      wallClock: () => system.wallClock(),
    },
  );
}
