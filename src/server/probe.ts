import type { HealthConfig } from "../config/types.ts";
import type { Broker } from "../pool/broker.ts";
import type { ProbeResult } from "../pool/health.ts";
import { MqttProbe, type ProbeStep } from "../pool/probe_mqtt.ts";
import type { Connection, ConnectionHandler, Dial, DialHandler, NetworkError } from "../runtime/types.ts";
import { partFrom } from "./farewell.ts";

export interface ProbeOptions {
  readonly broker: Broker;
  /** What is said on the connection; undefined: that there is one, is the answer. */
  readonly talk: MqttProbe | undefined;
  readonly dial: (broker: Broker, handler: DialHandler) => Dial;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Called once, unless the probe is given up. */
  readonly answered: (result: ProbeResult) => void;
  /** Called once, beside `answered`, when nothing is left of the connection; not when the probe is given up before its answer. */
  readonly gone?: () => void;
}

/** One question to one broker whether it is well: a connection, and with `probe = "mqtt"` an answer to CONNECT. */
export class Probe implements DialHandler {
  readonly #options: ProbeOptions;
  readonly #startedAt: number;
  readonly #talk: MqttProbe | undefined;
  readonly #dial: Dial;
  #connection: Connection | undefined = undefined;
  #isOver = false;

  constructor(options: ProbeOptions) {
    const { broker, dial, now, talk } = options;
    this.#options = options;
    this.#startedAt = now();
    this.#talk = talk;
    this.#dial = dial(broker, this);
  }

  opened(connection: Connection): void {
    if (this.#isOver) return connection.reset();
    this.#connection = connection;
    connection.owner = this;
    connection.handler = ASKING;
    if (this.#talk === undefined) {
      this.#answer({ ok: true, code: undefined, milliseconds: this.#milliseconds });
      connection.reset();
      this.#options.gone?.();
    } else connection.write(this.#talk.first);
  }

  failed(error: NetworkError): void {
    this.#answer({ ok: false, why: error.message, milliseconds: this.#milliseconds });
    this.#options.gone?.();
  }

  read(chunk: Uint8Array): void {
    if (!this.#isOver) this.#take(this.#talk?.push(chunk, this.#options.now()));
  }

  /** The broker's FIN. */
  left(): void {
    if (!this.#isOver) this.#take(this.#talk?.closed(this.#options.now()));
  }

  /** The connection is lost; behind an answer it is no more the probe's. */
  lost(): void {
    if (this.#isOver) return;
    const step = this.#talk?.closed(this.#options.now());
    if (step === undefined || !("done" in step)) return;
    this.#answer(step.done);
    this.#options.gone?.();
  }

  /** It took too long, or nobody wants to know any more. */
  giveUp(): void {
    this.#isOver = true;
    if (this.#connection === undefined) this.#dial.cancel();
    else this.#connection.reset();
  }

  get #milliseconds(): number {
    return Math.round(this.#options.now() - this.#startedAt);
  }

  #take(step: ProbeStep): void {
    if (step === undefined) return;
    if (step.send !== undefined) this.#connection?.write(step.send);
    if (!("done" in step)) return;
    partFrom(this.#connection as Connection, this.#options.gone);
    this.#answer(step.done);
  }

  #answer(result: ProbeResult): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.answered(result);
  }
}

/** What a health check says to its broker. */
export function healthTalk(config: HealthConfig, broker: Broker, clientId: string, now: number): MqttProbe | undefined {
  return config.probe === "mqtt" ? new MqttProbe({ ...loginOf(config, broker), clientId, loopTopic: config.loopTopic }, now) : undefined;
}

function loginOf({ version, username, password }: HealthConfig, { config }: Broker) {
  return username === undefined ? { version, username: config.username, password: config.password } : { version, username, password };
}

const probeOf = (connection: Connection) => connection.owner as Probe;

const ASKING: ConnectionHandler = {
  data: (connection, chunk) => probeOf(connection).read(chunk),
  drain: () => {},
  end: (connection) => probeOf(connection).left(),
  close: (connection) => probeOf(connection).lost(),
};
