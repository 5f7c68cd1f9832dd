import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Child } from "./child.ts";
import { until } from "./deadline.ts";
import { findProgram } from "./needs.ts";
import { freePort } from "./ports.ts";
import type { TestScope } from "./process.ts";

export interface HaproxyOptions {
  /** What follows `bind 127.0.0.1:port`, such as `accept-proxy`. */
  readonly bind?: string;
  /** `address:port`, and what follows it, such as `send-proxy-v2`. */
  readonly server: string;
  /** How a connection is logged, at its end; see "Custom log format" in its manual. */
  readonly logFormat?: string;
}

const CLASHES_MAX = 5;

/** A real HAProxy that passes TCP on. */
export class Haproxy {
  readonly port: number;
  readonly #child: Child;

  constructor(port: number, child: Child) {
    this.port = port;
    this.#child = child;
  }

  /** What it logged, by lines. */
  get lines(): string[] {
    return this.#child.stdout.split("\n").slice(0, -1);
  }

  /** The first line, now or later, that is like this. */
  async waitForLine(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#child.waitFor(() => this.lines.map((line) => pattern.exec(line)).find((found) => found !== null) ?? undefined, 10_000, `a line like ${pattern}`);
  }

  transcript(): string {
    return this.#child.transcript();
  }
}

/** Resolves when it accepts; it is gone after the test. */
export async function startHaproxy(t: TestScope, options: HaproxyOptions): Promise<Haproxy> {
  const directory = mkdtempSync(join(tmpdir(), "sluice-haproxy-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, "haproxy.cfg");
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    writeFileSync(file, configuration(port, options));
    const child = await Child.start([findProgram("haproxy") ?? "haproxy", "-db", "-f", file]);
    t.after(async () => void (await child.kill()));
    await until(async () => child.exit !== undefined || (await accepts(port)), 10_000, "HAProxy to accept");
    if (child.exit === undefined) return new Haproxy(port, child);
    if (!/cannot bind|in use/i.test(child.stderr) || attempt === CLASHES_MAX) throw new Error(`start HAProxy: it ended\n${child.transcript()}`);
  }
}

function configuration(port: number, { bind = "", server, logFormat = "%ci %cp" }: HaproxyOptions): string {
  return `
global
  log stdout format raw local0
defaults
  mode tcp
  log global
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen it
  bind 127.0.0.1:${port} ${bind}
  log-format "${logFormat}"
  server next ${server}
`;
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
