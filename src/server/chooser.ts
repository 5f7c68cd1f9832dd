import type { Configuration, Limits, ListenerConfig } from "../config/types.ts";
import { type Fault, fault } from "../mqtt/fault.ts";
import type { Connect } from "../mqtt/connect.ts";
import type { Claims } from "../policy/authentication/types.ts";
import { Routes } from "../policy/routes.ts";
import { sessionExpiryMs } from "../pool/affinity.ts";
import type { Choice } from "../pool/balance/types.ts";
import type { Broker } from "../pool/broker.ts";
import { Pool } from "../pool/pool.ts";
import type { Session } from "../session/session.ts";
import type { ConnectRewriter } from "./connect_rewriter.ts";
import type { PassThrough } from "./entrance.ts";
import { TakeOver } from "./take_over.ts";
import { idAtBrokers, keyOf, routeKeyOf, usernameOf } from "./session_keys.ts";

/** Where clients go: routes name the pool, pools know their brokers and who was where. */
export class Chooser {
  readonly pools: ReadonlyMap<string, Pool>;
  readonly #takeOvers: ReadonlyMap<Pool, TakeOver>;
  readonly #routes: Routes;
  readonly #random: () => number;
  /** undefined: every CONNECT goes on as it came. */
  #rewriter: ConnectRewriter | undefined = undefined;

  constructor({ pools, routes = [] }: Configuration, random: () => number) {
    this.pools = new Map(pools.map((pool) => [pool.name, new Pool(pool)]));
    const several = [...this.pools.values()].filter(({ config, brokers }) => config.takeOver === true && brokers.length > 1);
    this.#takeOvers = new Map(several.map((pool) => [pool, new TakeOver()]));
    this.#routes = new Routes(routes);
    this.#random = random;
  }

  async loadRewriter(limits: Limits): Promise<void> {
    this.#rewriter ??= new (await import("./connect_rewriter.ts")).ConnectRewriter(this.pools.values(), limits);
  }

  /** Sets the session's pool and what its brokers get for a CONNECT, and answers with the brokers to try; or why this client is turned away. */
  choose(session: Session, now: number, claims?: Claims): readonly Broker[] | Fault {
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
    const order = pool.order(choice, now);
    return order.length > 0 ? order : noneLeft(pool, choice);
  }

  #choiceOf(session: Session, now: number): Choice {
    const { cleanStart } = session.connect as Connect;
    const { affinity } = session.pool;
    const clientId = idAtBrokers(session);
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

  /**
   * CONNACK with success: the broker holds this client's MQTT session from now on, if it holds any. Answers the broker on which an older
   * session is to be ended, if there is one.
   */
  opened(session: Session, now: number): Broker | undefined {
    this.#takeOvers.get(session.pool)?.opened(session);
    const { affinity, config } = session.pool;
    if (affinity === undefined) return undefined;
    const { version, cleanStart } = session.connect as Connect;
    const expiryMs = sessionExpiryMs({ version, cleanStart, expirySeconds: session.sessionExpirySeconds });
    const left = affinity.opened({ clientId: idAtBrokers(session), broker: session.chosen as Broker, cleanStart, expiryMs, holder: session }, now);
    return config.clearSessions && cleanStart ? left : undefined; // without a clean start the client may want what is there
  }

  finished(session: Session, now: number): void {
    if (!session.isOpen) return;
    this.#takeOvers.get(session.pool)?.finished(session);
    session.pool.affinity?.closed(idAtBrokers(session), session, now);
  }
}

function noneLeft(pool: Pool, choice: Choice): Fault {
  if (pool.whyNone(choice) === "full") return fault("server_busy", `every broker of pool "${pool.name}" has all the sessions it may have`);
  return fault("server_unavailable", `no broker of pool "${pool.name}" takes clients now`);
}
