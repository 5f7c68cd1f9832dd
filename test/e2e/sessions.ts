import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";
import type { LogLine, TestScope } from "../support/process.ts";
import * as m from "../support/mqtt_bytes.ts";
import { RawClient } from "../support/raw_client.ts";
import type { Front } from "./front.ts";

/** An open session through sluice: CONNACK with success came. */
export async function openSession(t: TestScope, port: number, fields: m.ConnectFields = {}): Promise<RawClient> {
  const client = await RawClient.open({ port });
  t.after(() => client.close());
  await client.send(m.connect(fields));
  const { type, body } = await client.takePacket(20_000);
  assert.deepEqual([type, body[1]], [2, 0], "CONNACK with success");
  return client;
}

/** Opens a session and tells on which broker it is: the port, as the log has it. */
export async function brokerOf(t: TestScope, front: Front, clientId: string): Promise<number> {
  const client = await openSession(t, front.port, { clientId });
  const local = client.socket.localPort;
  const line = await front.sluice.waitForEvent("client.open", (one) => one["client.port"] === local);
  assert.equal(line["client.id"], clientId);
  return portOf(line);
}

/** The port of a log line's broker. */
export function portOf(line: LogLine): number {
  return Number(String(line["broker"]).split(":").at(-1));
}

/** How many of these clients, opened one after the other and kept, are on each broker. */
export async function spread(t: TestScope, front: Front, clientIds: readonly string[]): Promise<Map<number, number>> {
  const counts = new Map<number, number>();
  for (const clientId of clientIds) {
    const port = await brokerOf(t, front, clientId);
    counts.set(port, (counts.get(port) ?? 0) + 1);
  }
  return counts;
}

/** Milliseconds that this takes. */
export async function elapsed(action: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await action();
  return performance.now() - begin;
}

export const names = (count: number, prefix = "client"): string[] => Array.from({ length: count }, (_, i) => `${prefix}-${i}`);
