import type { Configuration, Limits, ListenerConfig } from "../config/types.ts";
import { type Fault, fault } from "../mqtt/fault.ts";
import type { Connect } from "../mqtt/connect.ts";
import type { Claims } from "../policy/authentication/types.ts";
import { Routes } from "../policy/routes.ts";
import { expiryIntervalMs, sessionExpiryMs } from "../pool/affinity.ts";
import type { Choice } from "../pool/balance/types.ts";
import type { Broker } from "../pool/broker.ts";
import { Pool } from "../pool/pool.ts";
import type { Session } from "../session/session.ts";
import type { ConnectRewriter } from "./connect_rewriter.ts";
import type { PassThrough } from "./entrance.ts";
import { idAtBrokers, keyOf, routeKeyOf, usernameOf } from "./session_keys.ts";
import { TakeOver } from "./take_over.ts";

/** Nobody takes this client now, and time alone may change that. */
export interface NoRoom extends Fault {
  /** The broker that holds its MQTT session; undefined: any of its pool will do. */
  readonly only: Broker | undefined;
}

/** Where clients go: routes name the pool, pools know their brokers and who was where. */
export class Chooser {
  readonly pools: ReadonlyMap<string, Pool>;
  readonly #takeOvers: ReadonlyMap<Pool, TakeOver>;
  readonly #routes: Routes;
  readonly #random: () => number;
  /** undefined: every CONNECT goes on as it came. */
  #rewriter: ConnectRewriter | undefined = undefined;
  #directionOf: ((session: Session) => Broker | undefined) | undefined = undefined;

  constructor({ pools, routes = [] }: Configuration, random: () => number) {
    this.pools = new Map(pools.map((pool) => [pool.name, new Pool(pool)]));
    const several = [...this.pools.values()].filter(({ config, brokers }) => config.takeOver === true && brokers.length > 1);
    this.#takeOvers = new Map(several.map((pool) => [pool, new TakeOver()]));
    this.#routes = new Routes(routes);
    this.#random = random;
  }

  /** Whether it is asked where clients come from. */
  get hasRoutes(): boolean {
    return !this.#routes.isEmpty;
  }

  async loadRewriter(limits: Limits): Promise<void> {
    this.#rewriter ??= new (await import("./connect_rewriter.ts")).ConnectRewriter(this.pools.values(), limits);
  }

  /** Sets the session's pool and what its brokers get for a CONNECT, and answers with the brokers to try; or why this client is turned away. */
  choose(session: Session, now: number, claims?: Claims): readonly Broker[] | Fault | NoRoom {
    const route = this.#routes.isEmpty ? undefined : this.#routes.find(routeKeyOf(session));
    if (route !== undefined) {
      session.routeName = route.name;
      if (route.refuse !== undefined) return fault(route.refuse, `turned away by ${route.name}`);
      session.pool = this.pools.get(route.pool as string) as Pool;
    }
    const refused = this.#rewriter?.rewrite(session, claims);
    if (refused !== undefined) return refused;
    const { pool } = session;
    const choice = this.#choiceOf(session, now);
    // What it has on its own broker it has on no other one: where there is a line, it waits for that.
    if (pool.config.waiting !== undefined && isFullButWell(choice.preferred, now)) return noRoom(choice.preferred.hasRoom ? "rate" : "full", choice.preferred);
    const direction = this.#directionFor(session, choice, now);
    const order = pool.order(choice, now, direction);
    if (order.length === 0) return noneLeft(pool, choice, now);
    session.decidedBy = direction === undefined ? pool.reasonFor(order[0] as Broker, choice, now) : "redirect";
    return order;
  }

  /** Where another broker has sent the client, as long as that one is well: directions live for longer than it takes to go down. */
  #directionFor(session: Session, choice: Choice, now: number): Broker | undefined {
    const direction = this.#directionOf?.(session);
    return direction !== undefined && !direction.isDown(now) && session.pool.accepts(direction, choice, now) ? direction : undefined;
  }

  /** Whether a broker of the session's pool takes it now. */
  accepts(session: Session, broker: Broker, now: number): boolean {
    return session.pool.accepts(broker, this.#choiceOf(session, now), now);
  }

  /** `directionOf`: the broker that another one has named for a client. */
  follow(directionOf: (session: Session) => Broker | undefined): void {
    this.#directionOf = directionOf;
  }

  #choiceOf(session: Session, now: number): Choice {
    const { cleanStart } = session.connect as Connect;
    const { affinity } = session.pool;
    const clientId = idAtBrokers(session);
    const preferred = affinity === undefined || cleanStart || clientId === "" ? undefined : affinity.find(clientId, now);
    return new SessionChoice(session, preferred, this.#random);
  }

  /** The same for a client whose TLS is passed through: nothing is known of its CONNECT. */
  chooseTunnel({ name: listener, pool: ownPool }: ListenerConfig, { origin, offered }: PassThrough, now: number) {
    const { address, tls } = origin;
    const route = this.#routes.find({ listener, address, serverName: tls?.serverName, alpn: offered, connect: undefined });
    const pool = this.pools.get(route?.pool ?? ownPool) as Pool;
    const where = { pool, routeName: route?.name };
    if (route?.refuse !== undefined) return { ...where, order: [], refused: fault(route.refuse, `turned away by ${route.name}`) };
    const choice = { key: address, address, random: this.#random };
    const order = pool.order(choice, now);
    return { ...where, order, refused: order.length === 0 ? noneLeft(pool, choice, now) : undefined };
  }

  /**
   * CONNACK with success: the broker holds this client's MQTT session from now on, if it holds any. Answers the broker on which an older
   * session is to be ended, if there is one.
   */
  opened(session: Session, now: number): Broker | undefined {
    const isNewest = this.#takeOvers.get(session.pool)?.opened(session) ?? true;
    const { affinity, config } = session.pool;
    if (affinity === undefined || !isNewest) return undefined;
    const { version, cleanStart } = session.connect as Connect;
    const expiryMs = sessionExpiryMs({ version, cleanStart, expirySeconds: session.sessionExpirySeconds });
    const left = affinity.opened({ clientId: idAtBrokers(session), broker: session.chosen as Broker, cleanStart, expiryMs, holder: session }, now);
    if (left === undefined || !config.clearSessions || !cleanStart) return undefined; // without a clean start the client may want what is there
    // Clearing throws out whoever holds the session: take-over has told that one already, and without take-over it is to stay.
    return left.isHeld && !this.#takeOvers.has(session.pool) ? undefined : left.broker;
  }

  finished(session: Session, now: number): void {
    if (!session.isOpen) return;
    this.#takeOvers.get(session.pool)?.finished(session);
    const { affinity } = session.pool;
    if (affinity === undefined) return;
    const id = idAtBrokers(session);
    const seconds = session.expiryWatch?.endSeconds;
    if (seconds !== undefined) affinity.setExpiry(id, session, expiryIntervalMs(seconds));
    affinity.closed(id, session, now);
  }
}

/** What the balancers ask of a client, found out when they do: an address costs a call of the system. */
class SessionChoice implements Choice {
  readonly preferred: Broker | undefined;
  readonly random: () => number;
  readonly #session: Session;

  constructor(session: Session, preferred: Broker | undefined, random: () => number) {
    this.#session = session;
    this.preferred = preferred;
    this.random = random;
  }

  get key(): string {
    return keyOf(this.#session);
  }

  get username(): string | undefined {
    return usernameOf(this.#session);
  }

  get address(): string {
    return this.#session.address;
  }
}

function noneLeft(pool: Pool, choice: Choice, now: number): Fault | NoRoom {
  const why = pool.whyNone(choice, now);
  return why === "taken_out" ? fault("server_unavailable", `no broker of pool "${pool.name}" takes clients now`) : noRoom(why);
}

function noRoom(why: "rate" | "full", only?: Broker): NoRoom {
  const whose = only === undefined ? "every broker that takes clients" : `the client's own broker ${only.name}`;
  if (why === "full") return { ...fault("server_busy", `${whose} has all the sessions it may have`), only };
  return { ...fault("connection_rate_exceeded", `${whose} had all the clients that it may get in this time`), only };
}

function isFullButWell(own: Broker | undefined, now: number): own is Broker {
  return own !== undefined && own.admits(own) && !own.isDown(now) && !own.canTake(now);
}
