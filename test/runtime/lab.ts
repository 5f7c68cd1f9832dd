import { strict as assert } from "node:assert";
import { readdirSync, readFileSync } from "node:fs";
import type { AcceptHandler, Listener, ListenOptions, NetworkError, Runtime } from "../../src/runtime/types.ts";
import { Door, End, pattern } from "./ends.ts";

export * from "./ends.ts";
export * from "./material.ts";

/** Where the list is run: one adapter, plain or with TLS begun on each connection. */
export interface Lab {
  readonly runtime: Runtime;
  /** Its connections are TLS ones. */
  readonly secure: boolean;
  /** The one without TLS, where `runtime` has it. */
  readonly below?: Runtime;
}

export const withoutTls = ({ runtime, below = runtime }: Lab): Lab => ({ runtime: below, secure: false });

/** Deno has no RST of ours, and neither has TLS: there the peer sees a plain close. */
export const sendsRst = ({ runtime, secure }: Lab): boolean => runtime.name !== "deno" && !secure;

export interface Case {
  readonly name: string;
  /** A program that has to be installed. */
  readonly needs?: string;
  run(lab: Lab): Promise<void>;
}

export function listen(lab: Lab, door: AcceptHandler, more: Partial<ListenOptions> = {}): Promise<Listener> {
  return lab.runtime.listen({ host: "127.0.0.1", port: 0, ...more }, door);
}

/** Dials and waits for the outcome: an open end, or the error. */
export function dial(lab: Lab, port: number, end = new End(), host = "127.0.0.1"): Promise<End | NetworkError> {
  return new Promise((resolve) => {
    let returned = false;
    lab.runtime.connect({ host, port }, {
      opened(connection) {
        assert.ok(returned, "opened inside connect");
        end.attach(connection);
        resolve(end);
      },
      failed(error) {
        assert.ok(returned, "failed inside connect");
        resolve(error);
      },
    });
    returned = true;
  });
}

/** A connected pair, taken down whatever happens. */
export async function withPair(
  lab: Lab,
  use: (pair: { client: End; server: End; door: Door; listener: Listener }) => Promise<void>,
  prepare: { door?: (door: Door) => void; client?: End } = {},
): Promise<void> {
  const door = new Door();
  prepare.door?.(door);
  const listener = await listen(lab, door);
  try {
    const client = await opened(dial(lab, listener.port, prepare.client));
    const server = await door.accepted(0);
    await use({ client, server, door, listener });
    client.connection.reset();
    server.connection.reset();
    await Promise.all([client.untilClosed(), server.untilClosed()]);
  } finally {
    await listener.close();
    for (const end of door.ends) end.connection.reset();
  }
}

/** One of many pairs: dials, and finds the accepted end by the byte that it sends first. */
export async function introduced(lab: Lab, door: Door, port: number, byte: number): Promise<{ client: End; server: End }> {
  const client = await opened(dial(lab, port));
  client.connection.write(Uint8Array.of(byte));
  const find = () => door.ends.find((end) => end.firstByte === byte);
  await door.until(`the partner of ${byte}`, () => find() !== undefined);
  return { client, server: find()! };
}

export async function opened(outcome: Promise<End | NetworkError>): Promise<End> {
  const end = await outcome;
  assert.ok(end instanceof End, end instanceof End ? "" : end.message);
  return end;
}

export async function refused(outcome: Promise<End | NetworkError>): Promise<NetworkError> {
  const error = await outcome;
  assert.ok(!(error instanceof End), "the dial was expected to fail");
  return error;
}

/** Some round trips on a connection of their own: whatever was under way has had its chance to happen. */
export async function settle(lab: Lab): Promise<void> {
  const door = new Door();
  door.onAccept = (end) => (end.onData = (chunk) => void end.connection.write(chunk));
  const plain = withoutTls(lab);
  const listener = await listen(plain, door);
  const client = await opened(dial(plain, listener.port));
  for (let trip = 1; trip <= 20; trip += 1) {
    client.connection.write(pattern(1));
    await client.until("the echo", (end) => end.received === trip);
  }
  client.connection.reset();
  await client.untilClosed();
  await gone(await door.accepted(0));
  await listener.close();
}

/** The peer of a connection that was reset is told by a close, or (where no RST can be sent) by an end. */
export async function gone(end: End): Promise<void> {
  await end.until("end or close", ({ ended, closed }) => ended || closed);
  end.connection.reset();
  await end.untilClosed();
}

/** A port on which nobody listens any more. */
export async function freePort(lab: Lab): Promise<number> {
  const listener = await listen(withoutTls(lab), new Door());
  await listener.close();
  return listener.port;
}

export function hasIPv6(): boolean {
  try {
    return readFileSync("/proc/net/if_inet6", "utf8").includes("00000000000000000000000000000001");
  } catch {
    return false;
  }
}

/** Open descriptors of this process; 0 where the system does not tell. */
export function descriptorCount(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return 0;
  }
}
