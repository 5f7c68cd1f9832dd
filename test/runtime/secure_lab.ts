import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import type { Listener, NetworkError, ServerTlsOptions, TlsContext, TlsFacts } from "../../src/runtime/types.ts";
import { within } from "../support/deadline.ts";
import { DEADLINE_MS, Door, type Lab, serverOptions, trusted, withoutTls } from "./lab.ts";
import { SecureDoor } from "./secure_door.ts";

/** A certificate of a client, with its key; `make_clients.sh` says what each is. */
export const device = (name: string) => ({ cert: devicesFile(`${name}.pem`), key: devicesFile(`${name}.key`) });
export const devicesFile = (name: string): string => readFileSync(`test/fixtures/tls/clients/${name}`, "utf8");
/** What a server has that asks for them. */
export const asking = (clientCertificates: "request" | "require", more: Partial<ServerTlsOptions> = {}): Partial<ServerTlsOptions> =>
  ({ clientCertificates, ca: devicesFile("ca.pem"), ...more });

/** A listener that begins TLS and echoes, with what came of its handshakes, in order. */
export interface Gate {
  readonly port: number;
  readonly door: Door;
  readonly facts: readonly TlsFacts[];
  /** What the handshake came to that is the `index`th to settle. */
  settled(index: number): Promise<TlsFacts | NetworkError>;
}

export async function contextOf(lab: Lab, more: Partial<ServerTlsOptions> = {}): Promise<TlsContext> {
  const context = await lab.runtime.createTlsContext(serverOptions(more));
  assert.ok(!("code" in context), "message" in context ? context.message : "");
  return context;
}

export async function withGate(lab: Lab, server: Partial<ServerTlsOptions> | TlsContext, use: (gate: Gate) => Promise<void>): Promise<void> {
  const context = "options" in server ? server : await contextOf(lab, server);
  const outcomes: (TlsFacts | NetworkError)[] = [];
  const door = new Door();
  door.onAccept = (end) => {
    outcomes.push(secure.facts.at(-1)!);
    end.onData = (chunk) => void end.connection.write(chunk);
    end.onEnd = () => end.connection.end();
  };
  const secure = new SecureDoor(lab.runtime, context, {
    admit: () => door.admit(),
    accept: (connection) => door.accept(connection),
    abandoned(address, error) {
      outcomes.push(error);
      door.abandoned(address, error);
    },
  }, DEADLINE_MS);
  const listener: Listener = await withoutTls(lab).runtime.listen({ host: "127.0.0.1", port: 0, startsTls: true }, secure);
  try {
    await use({
      port: listener.port,
      door,
      facts: secure.facts,
      async settled(index) {
        await door.until(`handshake ${index} to settle`, () => outcomes.length > index);
        return outcomes[index]!;
      },
    });
  } finally {
    await listener.close();
    for (const end of door.ends) end.connection.reset();
  }
}

/** What a client of `node:tls` saw. */
export interface Visit {
  /** Its bytes came back. */
  served: boolean;
  alpn: string | undefined;
  reused: boolean;
  /** For the next visit. */
  session: Buffer | undefined;
}

/** Connects, has some bytes echoed, and leaves. Resolves however that went. */
export function visit(port: number, options: ConnectionOptions = {}): Promise<Visit> {
  const visited: Visit = { served: false, alpn: undefined, reused: false, session: undefined };
  const done = new Promise<Visit>((resolve) => {
    const socket: TLSSocket = connect({ port, host: "127.0.0.1", servername: "localhost", ca: trusted.ca, ...options }, () => {
      visited.alpn = socket.alpnProtocol || undefined;
      visited.reused = socket.isSessionReused();
      socket.write("ping");
    });
    socket.on("session", (session: Buffer) => (visited.session = session));
    socket.on("data", () => {
      visited.served = true;
      socket.end();
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(visited));
  });
  return within(DEADLINE_MS, done, "a visit to end");
}

export const VERSIONS = ["1.2", "1.3"] as const;
export const only = (version: (typeof VERSIONS)[number]) => ({ minVersion: `TLSv${version}`, maxVersion: `TLSv${version}` }) as const;
