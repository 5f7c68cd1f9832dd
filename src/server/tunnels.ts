import type { ListenerConfig } from "../config/types.ts";
import { Roster } from "../lib/roster.ts";
import type { Connection } from "../runtime/types.ts";
import { Tunnel, type TunnelBegin, type TunnelContext } from "../session/tunnel.ts";
import type { Fault } from "../mqtt/fault.ts";
import type { PassThrough } from "./entrance.ts";

/** What the tunnels of all listeners share. */
export type TunnelsOwner = Omit<TunnelContext, "listenerName">;

/** The clients whose TLS is passed through; loaded only where a listener does that. */
export class Tunnels {
  readonly #owner: TunnelsOwner;
  readonly #tunnels = new Roster<Tunnel>();

  constructor(owner: TunnelsOwner) {
    this.#owner = owner;
  }

  get size(): number {
    return this.#tunnels.size;
  }

  begin({ name: listenerName }: ListenerConfig, client: Connection, { origin, hello }: PassThrough, where: Pick<TunnelBegin, "pool" | "routeName" | "order" | "refused">): void {
    const finished = (tunnel: Tunnel) => {
      this.#tunnels.delete(tunnel);
      this.#owner.finished(tunnel);
    };
    const tunnel = new Tunnel({ ...this.#owner, listenerName, finished }, client, { origin, hello, ...where });
    this.#tunnels.add(tunnel);
    tunnel.start();
  }

  get all(): Iterable<Tunnel> {
    return this.#tunnels;
  }

  endAll(why: Fault): void {
    for (const tunnel of this.#tunnels) tunnel.end(why);
  }
}
