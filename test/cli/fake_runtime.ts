import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Context, ServerOptions } from "../../src/cli/prepare.ts";
import { urlOf } from "../../src/config/address.ts";
import { dispatch } from "../../src/cli/dispatch.ts";
import type { FileError, ListenOptions, Machine, NetworkError, Runtime, ServerTlsOptions, System } from "../../src/runtime/types.ts";
import type { BrokerAnswer, ListenFailure, ProxyServer } from "../../src/server/types.ts";
import { filesWith } from "../config/files.ts";

export interface Scene {
  readonly files?: Record<string, string | FileError>;
  readonly terminal?: boolean;
  /** For commands that write files. */
  readonly machine?: Machine;
  readonly variables?: Record<string, string>;
  /** What listening on a port answers. */
  readonly listen?: (options: ListenOptions) => NetworkError | undefined;
  readonly tlsBackPressure?: boolean;
  readonly startFailure?: ListenFailure;
  /** Brokers that do not answer. */
  readonly down?: readonly string[];
  /** Called once the server has started. */
  readonly onStart?: (stage: Stage) => void;
}

/** What a run of the program did. */
export interface Stage {
  readonly out: string[];
  readonly error: string[];
  readonly calls: string[];
  readonly listened: ListenOptions[];
  readonly contexts: ServerTlsOptions[];
  options: ServerOptions | undefined;
  readonly signals: EventEmitter;
}

/** The program on a machine made of memory: its exit code, and all that it said and did. */
export async function play(words: readonly string[], scene: Scene = {}): Promise<Stage & { code: number }> {
  const stage: Stage = { out: [], error: [], calls: [], listened: [], contexts: [], options: undefined, signals: new EventEmitter() };
  const createServer: Context["createServer"] = (options) => {
    stage.options = options;
    return fakeServer(options, scene, stage);
  };
  const code = await dispatch(fakeRuntime(words, scene, stage), { createServer, adoptLog: () => {} });
  return { ...stage, code };
}

function fakeRuntime(words: readonly string[], scene: Scene, stage: Stage): Runtime {
  const system: System = {
    ...filesWith(scene.files ?? {}),
    arguments: words,
    processId: 1,
    env: (name) => scene.variables?.[name],
    onSignal: (signal, callback) => {
      stage.signals.on(signal, callback);
      return () => stage.signals.off(signal, callback);
    },
    now: () => 0,
    random: () => 0,
    descriptorsMax: async () => 1024,
    writeOut: (line) => void stage.out.push(line),
    writeError: (line) => void stage.error.push(line),
    errorIsTerminal: scene.terminal ?? false,
    outIsTerminal: scene.terminal ?? false,
    exit: (code) => {
      throw new Error(`exit ${code}`);
    },
    machine: async () => {
      if (scene.machine) return scene.machine;
      throw new Error("the machine, which nobody asked for");
    },
  };
  return {
    name: "node",
    version: "0",
    capabilities: { tlsBackPressure: scene.tlsBackPressure ?? true },
    system,
    descriptorsDangling: 0,
    createTlsContext: async (options) => {
      stage.contexts.push(options);
      return { options };
    },
    secureServer: () => assert.fail("a handshake that nobody asked for"),
    secureClient: () => assert.fail("a handshake that nobody asked for"),
    connect: () => {
      throw new Error("a connection that nobody asked for");
    },
    async listen(options) {
      stage.listened.push(options);
      const error = scene.listen?.(options);
      if (error) throw error;
      return { port: options.port, close: async () => void stage.calls.push("close") };
    },
  };
}

function fakeServer({ configuration }: ServerOptions, scene: Scene, stage: Stage): ProxyServer {
  const answers = configuration.pools.flatMap(({ name, brokers }) =>
    brokers.map((broker): BrokerAnswer => ({
      pool: name,
      broker: broker.name,
      ...(broker.state && { state: broker.state }),
      error: scene.down?.includes(broker.name) ? { code: "refused", message: `connect to ${broker.name}: connection refused` } : undefined,
      milliseconds: 2,
    })));
  return {
    async start() {
      stage.calls.push("start");
      if (!scene.startFailure) setTimeout(() => scene.onStart ? scene.onStart(stage) : stage.signals.emit("SIGTERM"), 0);
      return scene.startFailure;
    },
    addresses: configuration.listeners.map((listener) => ({ ...listener, url: urlOf(listener) })),
    sessionCount: 0,
    refusals: new Map(),
    brokers: [],
    setBroker: () => assert.fail("a change that nobody asked for"),
    async probe() {
      stage.calls.push("probe");
      return answers;
    },
    stop() {
      stage.calls.push("stop");
      return scene.onStart ? new Promise(() => {}) : Promise.resolve();
    },
    async stopNow() {
      stage.calls.push("stopNow");
    },
  };
}
