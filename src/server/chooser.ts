import type { Configuration, ListenerConfig } from "../config/types.ts";
import { type Fault, fault } from "../mqtt/fault.ts";
import type { Connect } from "../mqtt/connect.ts";
import { Routes } from "../policy/routes.ts";
import { sessionExpiryMs } from "../pool/affinity.ts";
import type { Choice } from "../pool/balance/types.ts";
import type { Broker } from "../pool/broker.ts";
import { Pool } from "../pool/pool.ts";
import type { Session } from "../session/session.ts";
import type { PassThrough } from "./entrance.ts";
import { keyOf, routeKeyOf, usernameOf } from "./session_keys.ts";

/** Nobody takes this client now, and time alone may change that. */
export interface NoRoom extends Fault {
  /** The broker that holds its MQTT session; undefined: any of its pool will do. */
  readonly only: Broker | undefined;
}

/** Where clients go: routes name the pool, pools know their brokers and who was where. */
export class Chooser {
  readonly pools: ReadonlyMap<string, Pool>;
  readonly #routes: Routes;
  readonly #random: () => number;

  constructor({ pools, routes = [] }: Configuration, random: () => number) {
    this.pools = new Map(pools.map((pool) => [pool.name, new Pool(pool)]));
    this.#routes = new Routes(routes);
    this.#random = random;
  }

  /** Sets the session's pool, and answers with the brokers to try; or why this client is turned away. */
  choose(session: Session, now: number): readonly Broker[] | Fault | NoRoom {
    const route = this.#routes.isEmpty ? undefined : this.#routes.find(routeKeyOf(session));
    if (route !== undefined) {
      session.routeName = route.name;
      if (route.refuse !== undefined) return fault(route.refuse, `turned away by ${route.name}`);
      session.pool = this.pools.get(route.pool as string) as Pool;
    }
    const { pool } = session;
    const choice = this.#choiceOf(session, now);
    // What it has on its own broker it has on no other one: where there is a line, it waits for that.
    if (pool.config.waiting !== undefined && isFullButWell(choice.preferred, now)) return noRoom(choice.preferred.hasRoom ? "rate" : "full", choice.preferred);
    const order = pool.order(choice, now);
    return order.length > 0 ? order : noneLeft(pool, choice, now);
  }

  #choiceOf(session: Session, now: number): Choice {
    const { clientId, cleanStart } = session.connect as Connect;
    const { affinity } = session.pool;
    const preferred = affinity === undefined || cleanStart || clientId === "" ? undefined : affinity.find(clientId, now);
    return { key: keyOf(session), username: usernameOf(session), address: session.address, preferred, random: this.#random };
  }

  /** The same for a client whose TLS is passed through: nothing is known of its CONNECT. */
  chooseTunnel({ name: listener, pool: ownPool }: ListenerConfig, { origin, offered }: PassThrough, now: number) {
    const { address, tls } = origin;
    const route = this.#routes.find({ listener, address, serverName: tls?.serverName, alpn: offered, connect: undefined });
    const pool = this.pools.get(route?.pool ?? ownPool) as Pool;
    const order = route?.refuse === undefined ? pool.order({ key: address, address, random: this.#random }, now) : [];
    return { pool, routeName: route?.name, order };
  }

  /** CONNACK with success: the broker holds this client's MQTT session from now on, if it holds any. */
  opened(session: Session, now: number): void {
    const { affinity } = session.pool;
    if (affinity === undefined) return;
    const { version, cleanStart } = session.connect as Connect;
    const expiryMs = sessionExpiryMs({ version, cleanStart, expirySeconds: session.sessionExpirySeconds });
    affinity.opened({ clientId: session.clientId, broker: session.chosen as Broker, cleanStart, expiryMs, holder: session }, now);
  }

  finished(session: Session, now: number): void {
    if (session.isOpen) session.pool.affinity?.closed(session.clientId, session, now);
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
