import { resolveConfiguration } from "../config/resolve.ts";
import type { Configuration } from "../config/types.ts";
import type { Paint } from "../lib/color.ts";
import { EVENTS } from "../observe/events.ts";
import type { Log } from "../observe/log.ts";
import type { Runtime } from "../runtime/types.ts";
import { createProxyServer } from "../server/proxy.ts";
import type { SessionEnd, SessionInfo } from "../server/report.ts";
import type { ProxyServer } from "../server/types.ts";
import { DemoBroker, type OnMessage } from "./demo/broker.ts";
import { Device } from "./demo/device.ts";
import { DEVICE_KINDS } from "./demo/device_kinds.ts";
import { beginOutages } from "./demo/outages.ts";
import { writeOutput, type Output } from "./demo/output.ts";
import { Screen } from "./demo/screen.ts";
import { EXIT } from "./exit_codes.ts";

export interface DemoOptions {
  readonly runtime: Runtime;
  /** Ends by itself after so long; undefined: with a signal. */
  readonly forMs: number | undefined;
  /** Made for stderr. */
  readonly paint: Paint;
  readonly output?: Output;
  /** The port to take if it is free. */
  readonly port?: number;
  /** How many milliseconds a second of the demo takes. */
  readonly secondMs?: number;
}

type Brokers = readonly [DemoBroker, DemoBroker];

/** Two brokers, sluice in front of them and devices that talk through it: one process, and nothing beyond its loopback address. */
export async function runDemo({ runtime, forMs, paint, output = writeOutput, port = 1883, secondMs = 1_000 }: DemoOptions): Promise<number> {
  const { system } = runtime;
  let end = () => {};
  const ending = new Promise<void>((resolve) => { end = resolve; });
  const forget = [system.onSignal("SIGINT", end), system.onSignal("SIGTERM", end)];
  let isSeen = true;
  const screen = new Screen(system, paint, output, () => {
    isSeen = false;
    end();
  });
  const brokers = await startBrokers(screen);
  const server = await startProxy(runtime, screen, brokers, port);
  let seen = 0;
  if (server) {
    const { port: proxyPort } = server.addresses[0]!;
    screen.introduce(proxyPort, brokers.map((broker) => broker.port));
    const devices = DEVICE_KINDS.map((kind) => new Device(kind, { runtime, port: proxyPort, secondMs }));
    const endOutages = beginOutages(brokers, screen, secondMs);
    const timer = forMs === undefined ? undefined : setTimeout(end, forMs);
    await ending;
    clearTimeout(timer);
    await endOutages();
    await stopDevices(devices, server);
    seen = devices.reduce((sum, device) => sum + device.received, 0);
    screen.talk(`\n${summarize(brokers, seen)}`);
  }
  await Promise.all(brokers.map((broker) => broker.close()));
  for (const unsubscribe of forget) unsubscribe();
  if (server === undefined) return EXIT.system;
  return forMs === undefined || seen > 0 || !isSeen ? EXIT.ok : EXIT.internal;
}

/** They are linked: what is published on one reaches the subscribers of both. */
async function startBrokers(screen: Screen): Promise<Brokers> {
  const onMessage: OnMessage = (broker, clientId, packet) => {
    broker.messages++;
    screen.message(broker.name, clientId, packet);
    for (const other of brokers) if (other !== broker) other.copy(packet);
  };
  const brokers: Brokers = [await DemoBroker.start("A", onMessage), await DemoBroker.start("B", onMessage)];
  return brokers;
}

/** On the port that was asked for, or on a free one. */
async function startProxy(runtime: Runtime, screen: Screen, brokers: Brokers, port: number): Promise<ProxyServer | undefined> {
  for (const candidate of [port, 0]) {
    const server = createProxyServer({
      runtime,
      configuration: configure(brokers, candidate),
      material: { listeners: new Map(), pools: new Map() },
      log: brokerLog(screen, brokers),
      onOpen: (session) => tellArrival(screen, brokers, session),
      onClose: (session) => tellEnd(screen, session),
    });
    const failure = await server.start();
    if (failure === undefined) return server;
    screen.talk(candidate === 0 ? `cannot listen: ${failure.error.message}` : `Port ${port} is taken, so sluice takes a free one.`);
  }
  return undefined;
}

function configure(brokers: Brokers, port: number): Configuration {
  const { configuration, problems } = resolveConfiguration({
    listeners: [{ listen: `mqtt://127.0.0.1:${port}` }],
    // In turn: so both are sure to have clients.
    pools: { default: { balance: "round_robin", brokers: brokers.map((broker) => broker.address) } },
    limits: { drain_timeout: "500ms" },
  });
  if (problems) throw new Error(problems[0].reason);
  return configuration;
}

const isDevice = (clientId: string) => DEVICE_KINDS.some((kind) => kind.clientId === clientId);

function tellArrival(screen: Screen, brokers: Brokers, session: SessionInfo): void {
  const broker = brokers.find((each) => each.address === session.broker);
  if (broker === undefined) return;
  broker.connections++;
  const text = `${session.clientId || "visitor"} (MQTT ${session.version}) goes to broker ${broker.name}`;
  if (isDevice(session.clientId)) screen.event("dim", text);
  else screen.event("green", `welcome! ${text}`);
}

/** That a device leaves when it wants to, or when the demo ends, is no news. */
function tellEnd(screen: Screen, { clientId, reason, detail }: SessionEnd): void {
  if (isDevice(clientId) && (reason === "client_disconnect" || reason === "shutting_down")) return;
  screen.event("dim", `${clientId || "visitor"} is gone: ${detail}`);
}

/** Of sluice's own log only what it learns about the brokers; of clients the demo tells in its own words. */
function brokerLog(screen: Screen, brokers: Brokers): Log {
  const nameOf = (address: unknown) => brokers.find((broker) => broker.address === address)?.name;
  return {
    debug: () => {},
    info(event, _message, fields) {
      if (event === EVENTS.brokerUp) screen.event("green", `sluice finds that broker ${nameOf(fields?.["broker"])} answers again`);
    },
    warn(event, message, fields) {
      const isDown = event === EVENTS.brokerDown;
      screen.event("yellow", isDown ? `sluice finds broker ${nameOf(fields?.["broker"])} down and tries it last for a while` : message);
    },
    error: (_event, message) => screen.event("red", message),
    isOn: (level) => level === "warn" || level === "error",
  };
}

/** First those that publish, so that the dashboard sees their last messages. */
async function stopDevices(devices: readonly Device[], server: ProxyServer): Promise<void> {
  const [watching, ...publishing] = devices;
  const stopped = Promise.all(publishing.map((device) => device.stop())).then(() => watching?.stop());
  await server.stop();
  await stopped;
}

function summarize(brokers: Brokers, seen: number): string {
  const count = (of: "messages" | "connections") => {
    const [a, b] = brokers;
    return `${a[of] + b[of]} ${of} (A ${a[of]}, B ${b[of]})`;
  };
  return `The demo is over: ${count("messages")}, ${seen} seen by the dashboard; ${count("connections")}.`;
}
