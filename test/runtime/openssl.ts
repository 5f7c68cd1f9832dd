import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { Watch } from "../support/watch.ts";
import { DEADLINE_MS } from "./lab.ts";

/** OpenSSL's own client, for what no runtime's can do. A line `R` makes it renegotiate, `K` update its keys; others are sent. */
export class OpensslClient {
  /** What it printed, on both streams. */
  said = "";
  isClosed = false;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #watch = new Watch();

  constructor(port: number, ...words: readonly string[]) {
    this.#child = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, "-servername", "localhost", ...words], { stdio: "pipe" });
    this.#child.stdin.on("error", () => {});
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        this.said += chunk.toString("latin1");
        this.#watch.tell();
      });
    }
    this.#child.once("close", () => {
      this.isClosed = true;
      this.#watch.tell();
    });
  }

  type(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  /** It says goodbye and ends. */
  endInput(): void {
    this.#child.stdin.end();
  }

  times(words: string): number {
    return this.said.split(words).length - 1;
  }

  until(what: string, condition: (client: OpensslClient) => boolean): Promise<void> {
    return this.#watch.until(() => condition(this), DEADLINE_MS, what);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}
