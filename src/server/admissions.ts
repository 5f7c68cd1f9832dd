import type { Limits, ListenerConfig } from "../config/types.ts";
import { TokenBucket } from "../lib/token_bucket.ts";
import { type Fault, fault } from "../mqtt/fault.ts";
import { sourceNetwork } from "../policy/authentication/source_network.ts";
import { NetworkRates } from "../policy/limits/network_rates.ts";
import { type Place, Places } from "../policy/limits/places.ts";
import { usernameKey } from "../policy/limits/username_key.ts";
import { REFUSED_AT_ONCE_MAX } from "./capacity.ts";

/** The places that one client has. */
interface Ticket {
  listener: Place | undefined;
  address: Place | undefined;
  username: Place | undefined;
}

interface Door {
  readonly places: Places | undefined;
  readonly rate: TokenBucket | undefined;
}

/**
 * Limits on clients by listener, address and user name: how many at once, from their admission to their end, and how fast they may come. Who is
 * over a number is told so at CONNECT, up to a few; beyond those the door is shut. Loaded only where there is such a limit.
 */
export class Admissions {
  readonly #doors: ReadonlyMap<string, Door>;
  readonly #addresses: Places | undefined;
  readonly #usernames: Places | undefined;
  readonly #addressRates: NetworkRates | undefined;
  /** By the client's connection, or by its arrival while there is one. */
  readonly #tickets = new Map<object, Ticket>();

  constructor(limits: Limits, listeners: readonly ListenerConfig[]) {
    const { connectionsPerAddressMax, connectionsPerUsernameMax, connectRatePerAddress } = limits;
    this.#doors = new Map(listeners.map((listener) => [listener.name, doorOf(listener)]));
    this.#addresses = placesOf(connectionsPerAddressMax, REFUSED_AT_ONCE_MAX);
    this.#usernames = placesOf(connectionsPerUsernameMax, 0);
    this.#addressRates = connectRatePerAddress && new NetworkRates(connectRatePerAddress);
  }

  /** Clients that are counted. */
  get size(): number {
    return this.#tickets.size;
  }

  /**
   * A client has come; once more when its address becomes known only later. A fault: the door is shut before it says anything, and nothing is
   * counted any more.
   */
  enter(client: object, listener: string, address: string | undefined): Fault | undefined {
    const ticket = this.#ticketOf(client);
    const { places } = this.#doors.get(listener) as Door;
    ticket.listener ??= places?.enter(listener);
    if (places !== undefined && ticket.listener === undefined) return this.#shutOut(client, tooManyHere(places));
    const network = this.#addresses && address !== undefined ? sourceNetwork(address) : undefined;
    if (this.#addresses === undefined || network === undefined) return undefined;
    ticket.address ??= this.#addresses.enter(network);
    return ticket.address === undefined ? this.#shutOut(client, tooManyOf(network, this.#addresses)) : undefined;
  }

  #ticketOf(client: object): Ticket {
    const known = this.#tickets.get(client);
    if (known !== undefined) return known;
    const ticket: Ticket = { listener: undefined, address: undefined, username: undefined };
    this.#tickets.set(client, ticket);
    return ticket;
  }

  #shutOut(client: object, why: Fault): Fault {
    this.left(client);
    return why;
  }

  /** What was an arrival is a connection with a session or a tunnel now. */
  moved(from: object, to: object): void {
    const ticket = this.#tickets.get(from);
    if (ticket === undefined) return;
    this.#tickets.delete(from);
    this.#tickets.set(to, ticket);
  }

  /** It wants to go to a broker, and nobody was asked yet who it is: a crowd that comes again all at once must not reach who hashes passwords. */
  judge(client: object, listener: string, address: string, now: number): Fault | undefined {
    const ticket = this.#ticketOf(client);
    const door = this.#doors.get(listener) as Door;
    if (ticket.listener?.claim() === false) return tooManyHere(door.places as Places);
    if (ticket.address?.claim() === false) return tooManyOf(sourceNetwork(address) as string, this.#addresses as Places);
    // A network that comes too fast takes none of the tokens that are for all.
    const network = this.#addressRates && sourceNetwork(address);
    if (network !== undefined && this.#addressRates?.has(network, now) === false) return fault("connection_rate_exceeded", `${network} connects too fast`);
    if (door.rate?.take(now) === false) return fault("connection_rate_exceeded", "clients connect to this listener too fast");
    if (network !== undefined) this.#addressRates?.take(network, now);
    return undefined;
  }

  /** It is known who it is. */
  judgeUser(client: object, username: string | undefined): Fault | undefined {
    if (this.#usernames === undefined || !username) return undefined;
    const ticket = this.#ticketOf(client);
    ticket.username ??= this.#usernames.enter(usernameKey(username));
    if (ticket.username !== undefined) return undefined;
    return fault("too_many_connections", `the user has the ${this.#usernames.limits.insideMax} connections that it may have`);
  }

  /** It is gone; harmless for one that is not counted. */
  left(client: object): void {
    const ticket = this.#tickets.get(client);
    if (ticket === undefined) return;
    this.#tickets.delete(client);
    ticket.listener?.leave();
    ticket.address?.leave();
    ticket.username?.leave();
  }
}

function doorOf({ connectionsMax, connectRate }: ListenerConfig): Door {
  return { places: placesOf(connectionsMax, REFUSED_AT_ONCE_MAX), rate: connectRate && new TokenBucket(connectRate) };
}

function placesOf(insideMax: number | undefined, overMax: number): Places | undefined {
  return insideMax === undefined ? undefined : new Places({ insideMax, overMax });
}

function tooManyHere({ limits }: Places): Fault {
  return fault("too_many_connections", `the listener has the ${limits.insideMax} connections that it may have`);
}

function tooManyOf(network: string, { limits }: Places): Fault {
  return fault("too_many_connections", `${network} has the ${limits.insideMax} connections that it may have`);
}
