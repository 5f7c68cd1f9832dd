import { ByteReader } from "../mqtt/byte_reader.ts";
import { judgeBrokerFirstByte, readConnack } from "../mqtt/connack.ts";
import { type Fault, fault, type Version } from "../mqtt/fault.ts";
import { FrameCollector } from "../mqtt/frame_collector.ts";
import { BROKER_RULES, ILLEGAL, packetName } from "../mqtt/rules.ts";
import type { ProbeResult } from "./health.ts";
import { connectPacket, goodbyePacket, joined, type ProbeLogin, publishPacket, subscribePacket } from "./probe_packets.ts";

export interface MqttProbeOptions extends ProbeLogin {
  /** Also subscribe to this topic with the client id behind it, publish there, and wait for what was published: the broker's insides work. */
  readonly loopTopic?: string | undefined;
  /** To be sent in place of a CONNECT of its own. */
  readonly connect?: Uint8Array | undefined;
}

/** What to do next; undefined: wait for more. After `done` the connection is to be ended, behind what is to be sent. */
export type ProbeStep = undefined | { readonly send: Uint8Array } | { readonly done: ProbeResult; readonly send: Uint8Array | undefined };

/** Nothing that a broker says to a probe needs more. */
const FRAME_SIZE_MAX = 65_536;
/**
 * Codes of CONNACK by which a broker says that it cannot serve, whoever asks: MQTT 5 section 3.2.2.2 and, below 0x80, 3.1.1 section 3.2.2.3.
 * By any other one it judges the probe (its login, id, version): it is alive, and so it is well.
 */
const CANNOT_SERVE: ReadonlySet<number> = new Set([3, 0x80, 0x83, 0x88, 0x89, 0x97, 0x9c, 0x9d, 0x9f]);

/** One probe's talk with a broker: CONNECT, CONNACK, optionally one message to itself, DISCONNECT. Bytes in, bytes out. */
export class MqttProbe {
  /** What to send when the connection is open. */
  readonly first: Uint8Array;
  readonly #options: MqttProbeOptions;
  readonly #topic: string;
  readonly #startedAt: number;
  #collector: FrameCollector;
  #awaits: "CONNACK" | "SUBACK" | "the message to itself" = "CONNACK";
  #code: number | undefined = undefined;
  #isDone = false;

  /** The clock runs from here: begin it before the dial, for the time of all of it. */
  constructor(options: MqttProbeOptions, now: number) {
    this.#options = options;
    this.#startedAt = now;
    this.#topic = `${options.loopTopic}/${options.clientId}`;
    this.first = options.connect ?? connectPacket(options);
    // A probe offers no enhanced authentication, so AUTH is out in every version: [MQTT-4.12.0-6].
    this.#collector = new FrameCollector(judgeBrokerFirstByte(4), FRAME_SIZE_MAX);
  }

  /** What it waits for, for the words of one that took too long. */
  get awaits(): string {
    return this.#awaits;
  }

  /** Bytes of the broker. */
  push(chunk: Uint8Array, now: number): ProbeStep {
    const sends: Uint8Array[] = [];
    for (let bytes = chunk; bytes.length > 0 && !this.#isDone; ) {
      const collected = this.#collector.push(bytes);
      if (collected === undefined) break;
      const step = "code" in collected ? this.#failed(collected.detail, now) : this.#take(collected.frame, now);
      if (step?.send !== undefined) sends.push(step.send);
      if (step !== undefined && "done" in step) return { done: step.done, send: sends.length === 0 ? undefined : joined(sends) };
      if ("rest" in collected) bytes = collected.rest;
    }
    return sends.length === 0 ? undefined : { send: joined(sends) };
  }

  /** The broker's FIN, or the connection is gone. */
  closed(now: number): ProbeStep {
    return this.#isDone ? undefined : this.#failed(`it closed before ${this.#awaits}`, now);
  }

  #take(frame: Uint8Array, now: number): ProbeStep {
    switch (this.#awaits) {
      case "CONNACK": return this.#connack(frame, now);
      case "SUBACK": return this.#suback(frame, now);
      case "the message to itself": return this.#message(frame, now);
    }
  }

  #connack(frame: Uint8Array, now: number): ProbeStep {
    const { version, loopTopic } = this.#options;
    const connack = readConnack(frame, version);
    if ("detail" in connack) return this.#failed(connack.detail, now);
    this.#code = connack.code;
    if (CANNOT_SERVE.has(connack.code)) return this.#failed(`CONNACK with code ${hexadecimal(connack.code)}`, now);
    if (connack.code !== 0) return loopTopic === undefined ? this.#succeeded(undefined, now) : this.#failed(`CONNACK with code ${hexadecimal(connack.code)}`, now);
    if (loopTopic === undefined) return this.#succeeded(goodbyePacket(), now);
    this.#awaits = "SUBACK";
    this.#collector = new FrameCollector(judgeOpen(version), FRAME_SIZE_MAX);
    return { send: subscribePacket(version, this.#topic) };
  }

  #suback(frame: Uint8Array, now: number): ProbeStep {
    const { version, clientId } = this.#options;
    if (frame[0] !== 0x90) return this.#other(frame, now);
    const reader = bodyOf(frame);
    reader.uint16("packet identifier");
    if (version === 5) skipProperties(reader);
    const code = reader.byte("reason code");
    if (reader.failure !== undefined) return this.#failed(`SUBACK: ${reader.failure}`, now);
    if (code >= 0x80) return this.#failed(`SUBACK with code ${hexadecimal(code)}`, now);
    this.#awaits = "the message to itself";
    return { send: publishPacket(version, this.#topic, clientId) };
  }

  #message(frame: Uint8Array, now: number): ProbeStep {
    if ((frame[0] as number) >> 4 !== 3) return this.#other(frame, now);
    const reader = bodyOf(frame);
    return reader.text("topic") === this.#topic && reader.failure === undefined ? this.#succeeded(goodbyePacket(), now) : undefined;
  }

  /** What a broker may say at any time, but for its DISCONNECT, is none of the probe's business. */
  #other(frame: Uint8Array, now: number): ProbeStep {
    return frame[0] === 0xe0 ? this.#failed(`DISCONNECT with code ${hexadecimal(frame[2] ?? 0)}`, now) : undefined;
  }

  #succeeded(send: Uint8Array | undefined, now: number): ProbeStep {
    this.#isDone = true;
    return { done: { ok: true, code: this.#code, milliseconds: now - this.#startedAt }, send };
  }

  #failed(why: string, now: number): ProbeStep {
    this.#isDone = true;
    return { done: { ok: false, why, milliseconds: now - this.#startedAt }, send: undefined };
  }
}

function judgeOpen(version: Version): (first: number) => Fault | undefined {
  const { least } = BROKER_RULES[version];
  return (first) => (least[first] === ILLEGAL ? fault("broker_malformed", `${packetName(first)} is not legal here`) : undefined);
}

function bodyOf(frame: Uint8Array): ByteReader {
  const reader = new ByteReader(frame, 1);
  reader.variableInteger("remaining length");
  return reader;
}

function skipProperties(reader: ByteReader): void {
  reader.within(reader.variableInteger("property length"), "properties", () => reader.byte("properties"));
}

function hexadecimal(code: number): string {
  return `0x${code.toString(16).padStart(2, "0")}`;
}
