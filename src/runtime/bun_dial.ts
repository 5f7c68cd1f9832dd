import { isAddress, type Peer, placeOf, UNIX_PEER } from "./address.ts";
import { BunConnection, type BunSocket } from "./bun_connection.ts";
import { connectionHandlers } from "./bun_listener.ts";
import { lookUp } from "./bun_lookup.ts";
import { failed, opened } from "./handlers.ts";
import { networkError } from "./network_error.ts";
import type { Connection, Dial, DialHandler, DialOptions, NetworkError } from "./types.ts";

/** How long one address of a name may keep the next one waiting; what RFC 8305 recommends. */
const ATTEMPT_MS = 250;

/** Descriptors of dials that were cancelled: Bun can only let them end by themselves. */
let dangling = 0;

export function danglingDials(): number {
  return dangling;
}

/** Plain TCP, or a unix socket. */
export function dialOnBun(options: DialOptions, handler: DialHandler): Dial {
  if (options.path !== undefined) return new AddressDial(options, options.path, handler).start();
  return isAddress(options.host) ? new AddressDial(options, options.host, handler).start() : new NameDial(options, handler).start();
}

/** A connection to one address, or to the path of a unix socket, that is being opened; it is the socket's `data` until then. */
class AddressDial implements Dial {
  readonly #address: string;
  /** As it was asked for: maybe by a name. */
  readonly #options: DialOptions;
  readonly #handler: DialHandler;
  #state: "starting" | "dialing" | "cancelled" | "settled" = "starting";

  constructor(options: DialOptions, address: string, handler: DialHandler) {
    this.#options = options;
    this.#address = address;
    this.#handler = handler;
  }

  start(): this {
    const address = this.#address;
    const { path, port } = this.#options;
    const data = this as unknown as BunConnection;
    try {
      // With `connectError` among the handlers the promise needs no one to catch it.
      if (path === undefined) void Bun.connect({ hostname: address, port, allowHalfOpen: true, socket: dialHandlers, data });
      else void Bun.connect({ unix: address, allowHalfOpen: true, socket: dialHandlers, data });
    } catch (thrown) {
      this.onError(thrown);
    }
    if (this.#state === "starting") this.#state = "dialing";
    return this;
  }

  cancel(): void {
    if (this.#state !== "dialing") return;
    this.#state = "cancelled";
    dangling += 1;
  }

  onOpen(socket: BunSocket): void {
    if (this.#state === "cancelled") {
      dangling -= 1;
      (socket as { data: BunConnection | undefined }).data = undefined;
      socket.terminate();
      return;
    }
    this.#state = "settled";
    const connection = new BunConnection(socket, this.#options.path === undefined ? peerAt(this.#address, this.#options.port) : UNIX_PEER);
    socket.data = connection;
    opened(this.#handler, connection);
  }

  onError(thrown: unknown): void {
    // A path that is not there is told while Bun.connect runs: whoever dials does not know of the dial yet.
    if (this.#state === "starting") {
      this.#state = "dialing";
      queueMicrotask(() => this.onError(thrown));
      return;
    }
    if (this.#state === "cancelled") dangling -= 1;
    if (this.#state !== "dialing") return;
    this.#state = "settled";
    failed(this.#handler, networkError(attemptAt(this.#options), thrown));
  }
}

let last: Peer = UNIX_PEER;

/** One object for all connections that go where the one before went. */
function peerAt(remoteAddress: string, remotePort: number): Peer {
  if (last.remoteAddress !== remoteAddress || last.remotePort !== remotePort) last = { remoteAddress, remotePort };
  return last;
}

const attemptAt = (options: DialOptions) => `connect to ${placeOf(options)}`;

const dialHandlers = {
  ...connectionHandlers,
  open: (socket: BunSocket) => dialOf(socket).onOpen(socket),
  connectError: (socket: BunSocket, error: Error) => dialOf(socket).onError(error),
};

function dialOf(socket: BunSocket): AddressDial {
  return socket.data as unknown as AddressDial;
}

/**
 * A name is resolved here, and its addresses are tried one after the other: `Bun.connect` would connect to all of them at
 * the same time and reset the losers, so a broker with two addresses would see two clients come for each one.
 */
class NameDial implements Dial, DialHandler {
  readonly #options: DialOptions;
  readonly #handler: DialHandler;
  #addresses: readonly string[] = [];
  #attempts: AddressDial[] = [];
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #state: "dialing" | "settled" = "dialing";

  constructor(options: DialOptions, handler: DialHandler) {
    this.#options = options;
    this.#handler = handler;
  }

  start(): this {
    lookUp(this.#options.host).then(
      (addresses) => this.#resolved(addresses),
      (thrown: unknown) => this.#giveUp(networkError(attemptAt(this.#options), thrown)),
    );
    return this;
  }

  cancel(): void {
    this.#settle();
  }

  opened(connection: Connection): void {
    // The other attempts only: cancelling one that has opened does nothing.
    this.#settle();
    this.#handler.opened(connection);
  }

  failed(error: NetworkError): void {
    this.#failures += 1;
    if (this.#attempts.length < this.#addresses.length) this.#attempt();
    else if (this.#failures === this.#addresses.length) this.#giveUp(error);
  }

  #resolved(addresses: readonly string[]): void {
    if (this.#state === "settled") return;
    this.#addresses = addresses;
    if (addresses.length > 0) this.#attempt();
    else this.#giveUp(networkError(attemptAt(this.#options), { code: "ENODATA" }));
  }

  #attempt(): void {
    clearTimeout(this.#timer);
    const address = this.#addresses[this.#attempts.length];
    if (address === undefined) return;
    this.#attempts.push(new AddressDial(this.#options, address, this).start());
    if (this.#attempts.length < this.#addresses.length) this.#timer = setTimeout(() => this.#attempt(), ATTEMPT_MS);
  }

  #giveUp(error: NetworkError): void {
    if (this.#state === "settled") return;
    this.#settle();
    failed(this.#handler, error);
  }

  #settle(): void {
    this.#state = "settled";
    clearTimeout(this.#timer);
    for (const attempt of this.#attempts) attempt.cancel();
    this.#attempts = [];
  }
}
