import type { Fault } from "../mqtt/fault.ts";
import type { Log } from "../observe/log.ts";
import type { Broker } from "../pool/broker.ts";
import type { Session } from "../session/session.ts";
import type { HealthChecks } from "./health_checks.ts";
import { keyOf } from "./session_keys.ts";
import { logBrokerDown, logBrokerUp } from "./session_log.ts";

interface Suspicion {
  readonly broker: Broker;
  readonly why: Fault;
  /** Who met it: a client without an id may be told one later. */
  readonly client: string;
  /** How many clients it had served then. */
  readonly successes: number;
}

/**
 * What clients meet at brokers. A broker that cannot be reached is at fault; one that met a CONNECT with silence or hung up may have had its
 * reasons, and a CONNECT that is made for it would speak against every broker in turn. So that counts only once another broker has taken the
 * same CONNECT, and not at all where probes ask in MQTT themselves: they only look sooner.
 */
export class BrokerReports {
  readonly #log: Log;
  readonly #now: () => number;
  /** Of clients that are not open yet. */
  readonly #suspicions = new Map<Session, Suspicion[]>();
  /** undefined: no broker is probed. */
  health: HealthChecks | undefined = undefined;

  constructor(log: Log, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  /** `suspectedBy`: a client that may be the cause itself. */
  failed(broker: Broker, why: Fault, suspectedBy?: Session): void {
    this.health?.clientFailed(broker);
    if (suspectedBy !== undefined) this.#suspect(suspectedBy, { broker, why, client: keyOf(suspectedBy), successes: broker.successes });
    else if (broker.failed(this.#now(), why.detail)) logBrokerDown(this.#log, broker, why);
  }

  #suspect(session: Session, suspicion: Suspicion): void {
    if (suspicion.broker.pool.health?.probe === "mqtt") return;
    const before = this.#suspicions.get(session);
    if (before === undefined) this.#suspicions.set(session, [suspicion]);
    else before.push(suspicion);
  }

  /** It took a connection, or gave a CONNACK. */
  answered(broker: Broker): void {
    if (broker.succeeded(this.#now())) logBrokerUp(this.#log, broker);
  }

  /** A broker took the client's CONNECT: it was not the CONNECT that the others did not like. */
  opened(session: Session): void {
    const suspicions = this.#suspicions.get(session);
    if (suspicions === undefined) return;
    this.#suspicions.delete(session);
    for (const { broker, why, client, successes } of suspicions) {
      if (broker.successes !== successes) continue; // it has served somebody since
      if (broker.suspected(client, this.#now(), why.detail)) logBrokerDown(this.#log, broker, why);
    }
  }

  finished(session: Session): void {
    this.#suspicions.delete(session);
  }
}
