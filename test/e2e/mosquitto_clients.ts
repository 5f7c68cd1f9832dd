import { closeSync, openSync } from "node:fs";
import { Child } from "../support/child.ts";
import { until } from "../support/deadline.ts";
import type { Mosquitto } from "../support/mosquitto.ts";
import { runToEnd, type TestScope } from "../support/process.ts";

export const VERSIONS = ["mqttv31", "mqttv311", "mqttv5"] as const;
export type VersionName = (typeof VERSIONS)[number];

export interface Target {
  readonly port: number;
  readonly version?: VersionName;
  /** TLS and the like. */
  readonly words?: readonly string[];
}

function common({ port, version = "mqttv311", words = [] }: Target): string[] {
  const host = words.includes("-h") ? [] : ["-h", "127.0.0.1"];
  return [...host, "-p", String(port), "-V", version, ...words];
}

/** Runs mosquitto_pub to its end; fails unless it ended well. */
export async function publish(target: Target, words: readonly string[]): Promise<void> {
  const { code, stderr } = await runToEnd(["mosquitto_pub", ...common(target), ...words]);
  if (code !== 0) throw new Error(`mosquitto_pub ${words.join(" ")}: exit code ${code}\n${stderr}`);
}

export interface Subscription {
  readonly id: string;
  readonly filters: readonly string[];
  readonly qos?: number;
  /** It ends by itself after so many messages. */
  readonly count?: number;
  /** See mosquitto_sub -F. */
  readonly format?: string;
  readonly words?: readonly string[];
  /** Where its output goes instead, byte for byte. */
  readonly file?: string;
}

/** Starts mosquitto_sub; resolves when the broker has answered its SUBSCRIBE. */
export async function subscribe(t: TestScope, broker: Mosquitto, target: Target, wanted: Subscription): Promise<Child> {
  const { id, filters, qos = 0, count, format = "%t %q %r %p", words = [], file } = wanted;
  const command = ["mosquitto_sub", ...common(target), "-i", id, "-q", String(qos), "-F", format, ...words];
  if (count !== undefined) command.push("-C", String(count));
  for (const filter of filters) command.push("-t", filter);
  if (file !== undefined) closeSync(openSync(file, "w"));
  const child = await Child.start(file === undefined ? command : ["sh", "-c", `exec "$@" > '${file}'`, "sh", ...command]);
  t.after(async () => void (await child.kill()));
  await until(
    () => {
      if (child.exit !== undefined) throw new Error(`mosquitto_sub ended before it was subscribed\n${child.transcript()}`);
      return broker.log.includes(`Sending SUBACK to ${id}`);
    },
    10_000,
    `mosquitto_sub ${id} to be subscribed`,
  );
  return child;
}

/** The lines that it printed until its own end. */
export async function received(child: Child): Promise<string[]> {
  const { code } = await child.ended(20_000);
  if (code !== 0) throw new Error(`mosquitto_sub: exit code ${code}\n${child.transcript()}`);
  return child.stdout.split("\n").slice(0, -1);
}
