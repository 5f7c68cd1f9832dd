import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { until } from "../support/deadline.ts";
import type { SkipOptions } from "../support/needs.ts";
import { ARTEFACTS, startSluice, type LogLine, type SluiceProcess, type TestScope } from "../support/process.ts";

/**
 * One test for each artefact: the command line that starts it is handed in. `atOnce` is for tests that mostly wait: all three
 * wait together.
 */
export function onEachArtefact(
  promise: string,
  options: SkipOptions & { readonly atOnce?: true },
  body: (t: TestContext, artefact: readonly string[]) => Promise<void>,
): void {
  const { atOnce = false, ...skip } = options;
  describe(promise, { concurrency: atOnce }, () => {
    for (const [name, artefact] of Object.entries(ARTEFACTS)) test(name, skip, (t) => body(t, artefact));
  });
}

/** Sluice in front of brokers, on a free port. */
export interface Front {
  readonly sluice: SluiceProcess;
  readonly port: number;
}

export interface FrontOptions {
  /** Further words of the command line; brokers among them. */
  readonly words?: readonly string[];
  /** The TOML of `--config`; limits can be set nowhere else. */
  readonly config?: string;
  /** null: the listeners stand in the configuration. */
  readonly listen?: string | null;
  readonly logLevel?: "debug" | "info";
  /** The test ends it itself. */
  readonly mayEnd?: boolean;
}

/** Resolves when it accepts. */
export async function startFront(t: TestScope, artefact: readonly string[], options: FrontOptions): Promise<Front> {
  const { words = [], config, listen = "mqtt://127.0.0.1:0", logLevel = "info", mayEnd = false } = options;
  const command = [...artefact, ...(listen === null ? [] : ["--listen", listen]), "--log-level", logLevel, "--log-format", "json", ...words];
  if (config !== undefined) command.push("--config", writeTemporary(t, { "sluice.toml": config })("sluice.toml"));
  const sluice = await startSluice(t, command, { mayEnd });
  const { port } = await sluice.waitForEvent("listener.start");
  return { sluice, port: port as number };
}

/** The same command line, with so many descriptors. */
export function withOpenFiles(artefact: readonly string[], max: number): readonly string[] {
  return ["sh", "-c", `ulimit -n ${max} && exec "$@"`, "sh", ...artefact];
}

/** The lines about an event, as soon as there are so many. */
export async function linesAbout(sluice: SluiceProcess, event: string, count: number): Promise<LogLine[]> {
  const lines = (): LogLine[] => sluice.log().filter((line) => line.event === event);
  await until(() => lines().length >= count, 10_000, `${count} lines about ${event}`);
  return lines();
}

/** Writes files into a directory that is gone after the test; answers with their paths. */
export function writeTemporary(t: TestScope, files: Readonly<Record<string, string | Uint8Array>>): (name: string) => string {
  const directory = mkdtempSync(join(tmpdir(), "sluice-test-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  return (name) => join(directory, name);
}

/** URLs of the brokers on these ports. */
export function brokerUrls(...brokers: readonly { readonly port: number }[]): string[] {
  return brokers.map(({ port }) => `mqtt://127.0.0.1:${port}`);
}
