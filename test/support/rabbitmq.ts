import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Child } from "./child.ts";
import { until } from "./deadline.ts";
import { findProgram } from "./needs.ts";
import { freePorts } from "./ports.ts";

/** What Debian's rabbitmq-server on the path calls, after it has become another user. */
const SCRIPT = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/** It waits six seconds for other nodes of a cluster, which it cannot be told not to. */
const START_DEADLINE_MS = 90_000;
const CLASHES_MAX = 3;

export interface RabbitmqOptions {
  readonly username: string;
  readonly password: string;
}

/** A real RabbitMQ with its MQTT plugin (3.1 and 3.1.1) on a loopback port; its data are gone with it. */
export class Rabbitmq {
  readonly port: number;
  readonly #server: Child;
  readonly #names: Child;
  readonly #directory: string;

  private constructor(port: number, server: Child, names: Child, directory: string) {
    this.port = port;
    this.#server = server;
    this.#names = names;
    this.#directory = directory;
  }

  /** What it logged. */
  get log(): string {
    return this.#server.stdout;
  }

  /** One life on three free ports. The caller stops it. */
  static async begin(options: RabbitmqOptions): Promise<Rabbitmq> {
    const [port, namesPort, nodesPort] = (await freePorts(3)) as [number, number, number];
    const directory = mkdtempSync(join(tmpdir(), "sluice-rabbitmq-"));
    // A node asks a daemon of names (epmd) whether it is the only one of its name. The usual one would outlive it.
    const names = await Child.start([findProgram("epmd") ?? "epmd", "-port", String(namesPort), "-address", "127.0.0.1"]);
    const server = await Child.start([existsSync(SCRIPT) ? SCRIPT : "rabbitmq-server"], { env: environment(directory, { port, namesPort, nodesPort }, options) });
    const broker = new Rabbitmq(port, server, names, directory);
    try {
      await server.waitFor((child) => (child.stdout.includes("Server startup complete") ? true : undefined), START_DEADLINE_MS, "RabbitMQ to be ready");
    } catch (error) {
      await broker.stop();
      throw error;
    }
    return broker;
  }

  async stop(): Promise<void> {
    await this.#server.stop("SIGTERM", 20_000);
    await this.#names.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  untilLogged(words: string): Promise<void> {
    return until(() => this.log.includes(words), 10_000, `RabbitMQ to log ${JSON.stringify(words)}`);
  }
}

/** Starts one, again with other ports when somebody was quicker. */
export async function startRabbitmq(options: RabbitmqOptions): Promise<Rabbitmq> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await Rabbitmq.begin(options);
    } catch (error) {
      if (attempt === CLASHES_MAX || !/eaddrinuse/i.test(String(error))) throw error;
    }
  }
}

/** Everything that it would keep outside of the directory, or ask of the machine's own one, is said here. */
function environment(directory: string, ports: { readonly port: number; readonly namesPort: number; readonly nodesPort: number }, { username, password }: RabbitmqOptions): Record<string, string> {
  const inside = (name: string): string => join(directory, name);
  mkdirSync(inside("home"));
  writeFileSync(inside("enabled_plugins"), "[rabbitmq_mqtt].\n");
  writeFileSync(inside("rabbitmq.conf"), [
    "listeners.tcp = none",
    `mqtt.listeners.tcp.1 = 127.0.0.1:${ports.port}`,
    "mqtt.allow_anonymous = false",
    `default_user = ${username}`,
    `default_pass = ${password}`,
    "log.console = true",
    "log.file = false",
    "",
  ].join("\n"), { mode: 0o600 });
  return {
    HOME: inside("home"),
    // As if systemd had started it: Erlang takes the place of the script, so that ours to signal is the server itself.
    NOTIFY_SOCKET: inside("nobody"),
    ERL_EPMD_PORT: String(ports.namesPort),
    ERL_EPMD_ADDRESS: "127.0.0.1",
    RABBITMQ_NODENAME: `sluice-${process.pid}@localhost`,
    RABBITMQ_DIST_PORT: String(ports.nodesPort),
    RABBITMQ_CONF_ENV_FILE: "/dev/null",
    RABBITMQ_CONFIG_FILE: inside("rabbitmq.conf"),
    RABBITMQ_ENABLED_PLUGINS_FILE: inside("enabled_plugins"),
    RABBITMQ_FEATURE_FLAGS_FILE: inside("feature_flags"),
    RABBITMQ_PID_FILE: inside("pid"),
    RABBITMQ_MNESIA_BASE: inside("data"),
    RABBITMQ_LOG_BASE: inside("log"),
    RABBITMQ_LOGS: "-",
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-start_epmd false -setcookie sluice -kernel inet_dist_use_interface {127,0,0,1} +S 1:1",
  };
}
