import { pbkdf2Sync, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Child } from "./child.ts";
import { pause } from "./deadline.ts";
import { findProgram } from "./needs.ts";
import { freePorts } from "./ports.ts";

export { hasMosquitto, needs } from "./needs.ts";

export interface MosquittoOptions {
  /** Files in PEM. `ca` given: clients must show a certificate of it. Holds for every listener. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
  /** How many ports it listens on; all serve the same broker. */
  readonly listenerCount?: number;
  /** What its listeners speak instead of MQTT over TCP; any path will do. */
  readonly protocol?: "websockets";
  /** User name to password; given, nobody else gets in. */
  readonly users?: Readonly<Record<string, string>>;
  /** Whether clients without a user name get in; by default exactly when there are no `users`. */
  readonly allowAnonymous?: boolean;
  /** Bytes of the largest packet that it takes. */
  readonly packetSizeMax?: number;
  /** More lines of its configuration file. */
  readonly extra?: readonly string[];
}

const CLASHES_MAX = 5;
const START_DEADLINE_MS = 10_000;

/** A real mosquitto on loopback ports, with nothing kept on disk beyond its own configuration. */
export class Mosquitto {
  readonly ports: readonly number[];
  readonly #directory: string;
  #child: Child | undefined;

  constructor(ports: readonly number[], directory: string) {
    this.ports = ports;
    this.#directory = directory;
  }

  get port(): number {
    return this.ports[0] as number;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** What it logged in this life. */
  get log(): string {
    return this.#child?.stderr ?? "";
  }

  /** Begins a life on the same ports; resolves when every port accepts. */
  async start(): Promise<void> {
    if (this.#child !== undefined && this.#child.exit === undefined) throw new Error("start mosquitto: it runs");
    const program = findProgram("mosquitto");
    if (program === undefined) throw new Error("start mosquitto: it is not installed");
    const child = await Child.start([program, "-c", join(this.#directory, "mosquitto.conf")]);
    this.#child = child;
    const end = performance.now() + START_DEADLINE_MS;
    for (const port of this.ports) {
      while (!(await accepts(port))) {
        if (child.exit !== undefined) throw new Error(`start mosquitto: it ended\n${child.transcript()}`);
        if (performance.now() > end) {
          await child.kill();
          throw new Error(`start mosquitto: port ${port} does not accept\n${child.transcript()}`);
        }
        await pause(10);
      }
    }
    // another program may have had the port all the time, and have answered in mosquitto's place
    if (child.exit !== undefined) throw new Error(`start mosquitto: it ended\n${child.transcript()}`);
  }

  /** Asks it to end: clients see their connections close. */
  async stop(): Promise<void> {
    this.thaw();
    await this.#child?.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Ends it at once; `start` brings it back on the same ports. */
  async kill(): Promise<void> {
    await this.#child?.kill();
  }

  /** SIGSTOP: its kernel still accepts, nobody answers. */
  freeze(): void {
    this.#child?.signal("SIGSTOP");
  }

  thaw(): void {
    this.#child?.signal("SIGCONT");
  }
}

/** Starts one on free ports, again with others when somebody was quicker. The caller stops it (`t.after(() => broker.stop())`). */
export async function startMosquitto(options: MosquittoOptions = {}): Promise<Mosquitto> {
  for (let attempt = 1; ; attempt++) {
    const ports = await freePorts(options.listenerCount ?? 1);
    const directory = mkdtempSync(join(tmpdir(), "sluice-mosquitto-"));
    writeFileSync(join(directory, "mosquitto.conf"), configuration(ports, directory, options));
    const broker = new Mosquitto(ports, directory);
    try {
      await broker.start();
      return broker;
    } catch (error) {
      const clash = /Address already in use|Unable to create websockets listener/.test(broker.log);
      await broker.stop();
      if (!clash || attempt === CLASHES_MAX) throw error;
    }
  }
}

function configuration(ports: readonly number[], directory: string, options: MosquittoOptions): string {
  const lines = [
    "per_listener_settings false",
    "persistence false",
    "log_dest stderr",
    "log_type all",
    "set_tcp_nodelay true",
    `allow_anonymous ${options.allowAnonymous ?? options.users === undefined}`,
  ];
  // started by root it would become another user, who cannot read what the test wrote
  if (process.getuid?.() === 0) lines.push("user root");
  if (options.packetSizeMax !== undefined) lines.push(`max_packet_size ${options.packetSizeMax}`);
  if (options.users !== undefined) {
    const file = join(directory, "passwords");
    const entries = Object.entries(options.users).map(([user, password]) => `${user}:${hashPassword(password)}\n`);
    writeFileSync(file, entries.join(""), { mode: 0o600 });
    lines.push(`password_file ${file}`);
  }
  // 2.0.11 ends at once when it has no other listener than such for WebSocket
  if (options.protocol === "websockets") lines.push(`listener 0 ${join(directory, "unused")}`);
  for (const port of ports) {
    lines.push(`listener ${port} 127.0.0.1`);
    if (options.protocol !== undefined) lines.push(`protocol ${options.protocol}`);
    if (options.tls === undefined) continue;
    lines.push(`certfile ${options.tls.cert}`, `keyfile ${options.tls.key}`);
    if (options.tls.ca !== undefined) lines.push(`cafile ${options.tls.ca}`, "require_certificate true");
  }
  return [...lines, ...(options.extra ?? []), ""].join("\n");
}

/** The form that mosquitto_passwd writes: PBKDF2 with SHA-512. */
function hashPassword(password: string): string {
  const iterations = 101;
  const salt = randomBytes(12);
  const hash = pbkdf2Sync(password, salt, iterations, 64, "sha512");
  return `$7$${iterations}$${salt.toString("base64")}$${hash.toString("base64")}`;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    const settle = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.on("connect", () => settle(true));
    socket.on("error", () => settle(false));
  });
}
