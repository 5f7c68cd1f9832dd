import { clearingConnect } from "../mqtt/clearing_connect.ts";
import { type Connect, withCredentials } from "../mqtt/connect.ts";
import { EVENTS } from "../observe/events.ts";
import type { Log } from "../observe/log.ts";
import type { Broker } from "../pool/broker.ts";
import type { ProbeResult } from "../pool/health.ts";
import { MqttProbe } from "../pool/probe_mqtt.ts";
import type { Dial, DialHandler, System } from "../runtime/types.ts";
import { Probe } from "./probe.ts";

export interface SessionClearingOptions {
  readonly system: Pick<System, "now">;
  readonly log: Log;
  readonly dial: (broker: Broker, handler: DialHandler) => Dial;
}

/** Many clients that come with a clean start at once must not become as many connections more, nor fill the memory with their CONNECTs. */
const AT_ONCE_MAX = 16;
const WAITING_MAX = 200;
const TIMEOUT_MS = 5_000;

interface Clearing {
  readonly broker: Broker;
  readonly connect: Connect;
}

/**
 * Ends sessions that clients left behind on another broker: with the client's own identity, a clean start there and a DISCONNECT. It is a
 * kindness: what fails leaves a session to its expiry, and is told to the debug log alone.
 */
export class SessionClearing {
  readonly #options: SessionClearingOptions;
  #waiting: Clearing[] = [];
  readonly #underWay = new Map<Clearing, () => void>();

  constructor(options: SessionClearingOptions) {
    this.#options = options;
  }

  /** `connect`: the client's, as its broker got it but for credentials of the broker's URL. */
  clear(connect: Connect, broker: Broker): void {
    const obstacle = this.#obstacleTo(broker);
    if (obstacle !== undefined) return this.#tell(connect, broker, obstacle);
    const cleared = clearingConnect(connect);
    if (cleared === undefined) return this.#tell(connect, broker, "is left: its client came by an exchange of its own");
    if (this.#waiting.length === WAITING_MAX) return this.#tell(connect, broker, "is left: too many are being ended");
    this.#waiting.push({ broker, connect: cleared });
    this.#next();
  }

  /** The client itself goes there now: what it does with its session is its own affair, and its connection must not be taken over. */
  yieldTo(clientId: string, broker: Broker): void {
    const isIts = (clearing: Clearing) => clearing.broker === broker && clearing.connect.clientId === clientId;
    this.#waiting = this.#waiting.filter((clearing) => !isIts(clearing));
    for (const [clearing, giveUp] of [...this.#underWay]) if (isIts(clearing)) giveUp();
  }

  stop(): void {
    this.#waiting = [];
    for (const giveUp of [...this.#underWay.values()]) giveUp();
  }

  #next(): void {
    while (this.#underWay.size < AT_ONCE_MAX) {
      const clearing = this.#waiting.shift();
      if (clearing === undefined) return;
      const obstacle = this.#obstacleTo(clearing.broker); // perhaps new: it may have waited for long
      if (obstacle === undefined) this.#begin(clearing);
      else this.#tell(clearing.connect, clearing.broker, obstacle);
    }
  }

  /** Why a broker is not dialed for this. What is known to be down would take a place and its time from others. */
  #obstacleTo(broker: Broker): string | undefined {
    if (broker.state.admin === "maint") return "is left: nobody is to connect there";
    return broker.isDown(this.#options.system.now()) ? "is left: the broker is down" : undefined;
  }

  #begin(clearing: Clearing): void {
    const { broker, connect } = clearing;
    const { dial, system } = this.#options;
    const talk = new MqttProbe({ version: connect.version, clientId: connect.clientId, connect: bytesFor(broker, connect) }, system.now());
    let outcome: string | undefined;
    const tell = (how: string) => {
      if (outcome === undefined) this.#tell(connect, broker, (outcome = how));
    };
    // Its place is free when its connection is gone: brokers that answer and do not close must not collect them.
    const gone = () => {
      clearTimeout(timer);
      if (this.#underWay.delete(clearing)) this.#next();
    };
    const probe = new Probe({ broker, talk, dial, now: () => system.now(), answered: (result) => tell(inWords(result)), gone });
    const giveUp = (why: string) => {
      tell(why);
      probe.giveUp();
      gone();
    };
    const timer = setTimeout(() => giveUp("is left: no answer in time"), TIMEOUT_MS);
    (timer as { unref?: () => void }).unref?.();
    this.#underWay.set(clearing, () => giveUp("is left to its client"));
  }

  #tell({ clientId }: Connect, broker: Broker, how: string): void {
    const { log } = this.#options;
    if (!log.isOn("debug")) return;
    log.debug(EVENTS.sessionClear, `the session of ${clientId} on ${broker.name} ${how}`, { "client.id": clientId, pool: broker.pool.name, broker: broker.name });
  }
}

function bytesFor({ config: { username, password } }: Broker, connect: Connect): Uint8Array {
  return username === undefined ? connect.frame : withCredentials(connect, username, password);
}

function inWords(result: ProbeResult): string {
  if (!result.ok) return `is left: ${result.why}`;
  return result.code === 0 ? "is ended" : `is left: CONNACK with code 0x${(result.code ?? 0).toString(16).padStart(2, "0")}`;
}
