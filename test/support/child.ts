import { spawn, type ChildProcess } from "node:child_process";
import process from "node:process";
import { within } from "./deadline.ts";

export interface Exit {
  /** null: ended by a signal. */
  readonly code: number | null;
  readonly signal: string | null;
}

/** Children that still run; they die with the test's process, however that ends. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) send(child, "SIGKILL");
});

type SignalName = "SIGTERM" | "SIGINT" | "SIGHUP" | "SIGUSR2" | "SIGKILL" | "SIGSTOP" | "SIGCONT";

/** Not `child.kill`: Deno takes any signal, SIGCONT too, for the end, and sends no other after it. */
function send(child: ChildProcess, name: SignalName): void {
  if (child.pid === undefined || !running.has(child)) return;
  try {
    process.kill(child.pid, name);
  } catch {
    // it ended a moment ago
  }
}

/** A started program, its output gathered line by line. Only this very process is ever signalled, by its own id. */
export class Child {
  readonly pid: number;
  readonly command: string;
  readonly exited: Promise<Exit>;
  #child: ChildProcess;
  #exit: Exit | undefined;
  #output = { stdout: "", stderr: "" };
  #watchers = new Set<() => void>();

  private constructor(child: ChildProcess, command: string) {
    this.#child = child;
    this.command = command;
    this.pid = child.pid ?? 0;
    running.add(child);
    child.stdout?.setEncoding("utf8").on("data", (text: string) => this.#gather("stdout", text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => this.#gather("stderr", text));
    child.on("exit", () => running.delete(child));
    // "close" rather than "exit": then all that the program wrote has been read
    this.exited = new Promise((resolve) => {
      child.on("close", (code, signal) => {
        this.#exit = { code, signal };
        this.#tell();
        resolve(this.#exit);
      });
    });
  }

  static async start(
    command: readonly string[],
    options: { cwd?: string; env?: Record<string, string | undefined> } = {},
  ): Promise<Child> {
    const [program, ...words] = command;
    if (program === undefined) throw new RangeError("start a program: the command is empty");
    const env = { ...process.env, ...options.env };
    const child = spawn(program, words, { cwd: options.cwd, env, stdio: ["pipe", "pipe", "pipe"] });
    const wrapped = new Child(child, command.join(" "));
    await new Promise<void>((resolve, reject) => {
      child.on("spawn", resolve);
      child.on("error", (error) => {
        running.delete(child);
        reject(new Error(`start ${program}: ${error.message}`));
      });
    });
    child.stdin?.on("error", () => {}); // the program may be gone before its input is written
    return wrapped;
  }

  get stdout(): string {
    return this.#output.stdout;
  }

  get stderr(): string {
    return this.#output.stderr;
  }

  /** undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  write(text: string | Uint8Array): void {
    this.#child.stdin?.write(text);
  }

  closeInput(): void {
    this.#child.stdin?.end();
  }

  /**
   * The first thing that `find` finds in the output so far, now or as it grows. Fails at once, with the output, when
   * the program ends without it.
   */
  async waitFor<T>(find: (child: Child) => T | undefined, milliseconds: number, what: string): Promise<T> {
    let watcher = (): void => {};
    const found = new Promise<T>((resolve, reject) => {
      watcher = () => {
        const value = find(this);
        if (value !== undefined) resolve(value);
        else if (this.#exit !== undefined) reject(new Error(`the program ended ${describeExit(this.#exit)}`));
      };
      this.#watchers.add(watcher);
      watcher();
    });
    try {
      return await within(milliseconds, found, what);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${this.command}: ${what}: ${reason}\n${this.transcript()}`);
    } finally {
      this.#watchers.delete(watcher);
    }
  }

  signal(name: SignalName): void {
    send(this.#child, name);
  }

  /** Asks it to end, waits, and kills it when the deadline passes: then `exit.signal` is SIGKILL. */
  async stop(name: "SIGTERM" | "SIGINT" = "SIGTERM", milliseconds = 5_000): Promise<Exit> {
    this.signal(name);
    try {
      return await within(milliseconds, this.exited, "its end");
    } catch {
      return this.kill();
    }
  }

  async kill(): Promise<Exit> {
    this.signal("SIGKILL");
    return within(5_000, this.exited, `the end of killed process ${this.pid}`);
  }

  /** Waits for an end that should come by itself; the error says what the program printed when it did not. */
  async ended(milliseconds: number): Promise<Exit> {
    try {
      return await within(milliseconds, this.exited, "its end");
    } catch {
      await this.kill();
      throw new Error(`${this.command}: not ended after ${milliseconds} ms\n${this.transcript()}`);
    }
  }

  /** What it said, for the message of a failed test. */
  transcript(): string {
    const tail = (text: string): string => text.slice(-4_000).trimEnd();
    return `--- stdout\n${tail(this.stdout)}\n--- stderr\n${tail(this.stderr)}\n---`;
  }

  #gather(stream: "stdout" | "stderr", text: string): void {
    this.#output[stream] += text;
    this.#tell();
  }

  #tell(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}

export function describeExit(exit: Exit): string {
  return exit.signal === null ? `with code ${exit.code}` : `by ${exit.signal}`;
}
