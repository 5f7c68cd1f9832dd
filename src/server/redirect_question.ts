import type { Timed, TimerWheel } from "../lib/timer_wheel.ts";
import { type Connack, judgeBrokerFirstByte, readConnack } from "../mqtt/connack.ts";
import { FrameCollector } from "../mqtt/frame_collector.ts";
import type { Connection, ConnectionHandler, Dial, DialHandler } from "../runtime/types.ts";
import { partFrom } from "./farewell.ts";

/** How long a broker may take to say where it would send a client, in milliseconds: its refusal waits meanwhile. */
const ANSWER_MS = 3_000;
const CONNACK_SIZE_MAX = 65_536;
const ACCEPTED = 0;
const GOODBYE = Uint8Array.of(0xe0, 0); // DISCONNECT, in order: MQTT 5 section 3.14

export interface QuestionOptions {
  /** The CONNECT of MQTT 5 that asks. */
  readonly connect: Uint8Array;
  readonly wheel: TimerWheel;
  readonly dial: (handler: DialHandler) => Dial;
  /** Called once; undefined: there is no answer. */
  readonly answered: (connack: Connack | undefined) => void;
}

/** One connection that asks a broker, in MQTT 5, what it cannot say to a client of 3.x. */
export class RedirectQuestion implements DialHandler, Timed {
  readonly #options: QuestionOptions;
  readonly #collector = new FrameCollector(judgeBrokerFirstByte(5), CONNACK_SIZE_MAX);
  #dial: Dial | undefined = undefined;
  #connection: Connection | undefined = undefined;
  #isOver = false;

  timerSlot: Timed["timerSlot"] = undefined;
  timerNext: Timed | undefined = undefined;
  timerPrevious: Timed | undefined = undefined;
  timerTick = 0;

  constructor(options: QuestionOptions) {
    this.#options = options;
  }

  start(): void {
    this.#options.wheel.set(this, ANSWER_MS);
    this.#dial = this.#options.dial(this);
  }

  opened(connection: Connection): void {
    if (this.#isOver) return connection.reset();
    this.#connection = connection;
    connection.owner = this;
    connection.handler = QUESTION;
    connection.write(this.#options.connect);
  }

  failed(): void {
    this.#end(undefined);
  }

  expired(): void {
    this.giveUp();
  }

  giveUp(): void {
    if (this.#connection === undefined) this.#dial?.cancel();
    this.#end(undefined);
  }

  heard(chunk: Uint8Array): void {
    if (this.#isOver) return;
    const collected = this.#collector.push(chunk);
    if (collected === undefined) return;
    // AUTH is a question to the client, who has not been told of any of this.
    const connack = "frame" in collected && collected.frame[0] === 0x20 ? readConnack(collected.frame, 5) : undefined;
    if (connack === undefined || "detail" in connack) return this.#end(undefined);
    if (connack.code === ACCEPTED) this.#connection?.write(GOODBYE);
    this.#end(connack);
  }

  /** It closed, perhaps without an answer. */
  left(): void {
    this.#end(undefined);
  }

  #end(connack: Connack | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.wheel.clear(this);
    if (connack?.code === ACCEPTED) partFrom(this.#connection as Connection);
    else this.#connection?.reset();
    this.#options.answered(connack);
  }
}

const questionOf = (connection: Connection) => connection.owner as RedirectQuestion;

const QUESTION: ConnectionHandler = {
  data: (connection, chunk) => questionOf(connection).heard(chunk),
  drain: () => {},
  end: (connection) => {
    questionOf(connection).left();
    connection.end();
  },
  close: (connection) => questionOf(connection).left(),
};
