import type { PublishPacket } from "aedes";
import { createPaint, type Paint, type Style } from "../../lib/color.ts";
import { printable } from "../../lib/text.ts";
import type { System } from "../../runtime/types.ts";
import type { Output } from "./output.ts";

/** Columns of a message's line. */
const CLIENT_MAX = 15;
const TOPIC_MAX = 32;
const PAYLOAD_MAX = 32;
/** More of a payload than this is not even looked at. */
const PAYLOAD_READ_MAX = 256;

/** What the demo shows: messages are data and go to stdout, all the rest is talk and goes to stderr. */
export class Screen {
  readonly #system: System;
  readonly #paint: Paint;
  readonly #paintOut: Paint;
  readonly #output: Output;
  readonly #whenGone: () => void;
  #isGone = false;

  /** The paint was made for stderr. `whenGone` is called once nobody sees what is shown. */
  constructor(system: System, paint: Paint, output: Output, whenGone: () => void) {
    this.#system = system;
    this.#output = output;
    this.#whenGone = whenGone;
    this.#paint = paint;
    const onlyTalkIsColored = system.errorIsTerminal && !system.outIsTerminal;
    this.#paintOut = onlyTalkIsColored ? createPaint(false) : paint;
  }

  message(broker: string, clientId: string, packet: PublishPacket): void {
    const paint = this.#paintOut;
    const who = cut(clientId, CLIENT_MAX).padEnd(12);
    const bytes = packet.payload.slice(0, PAYLOAD_READ_MAX);
    const payload = cut(typeof bytes === "string" ? bytes : new TextDecoder().decode(bytes), PAYLOAD_MAX);
    const topic = cut(packet.topic, TOPIC_MAX).padEnd(25);
    this.#show(1, `${this.#time(paint)}  ${paint("cyan", who)} → ${broker}  ${topic} ${paint("bold", payload)}`);
  }

  /** Something happened: a line with its time. */
  event(style: Style, text: string): void {
    this.talk(`${this.#time(this.#paint)}  ${this.#paint(style, `· ${printable(text)}`)}`);
  }

  talk(text: string): void {
    this.#show(2, text);
  }

  #show(descriptor: 1 | 2, line: string): void {
    if (this.#isGone || this.#output(descriptor, line)) return;
    this.#isGone = true;
    this.#whenGone();
  }

  /** Who stands where, and what to type to join in. */
  introduce(port: number, [a, b]: readonly number[]): void {
    const paint = this.#paint;
    const label = `sluice, port ${port}`;
    const gap = " ".repeat(label.length);
    const at = `-h 127.0.0.1 -p ${port}`;
    this.talk([
      "",
      `  devices ─┐  ${gap}  ┌─ broker A, port ${a}`,
      `           ├─ ${paint("bold", label)} ─┤`,
      `      you ─┘  ${gap}  └─ broker B, port ${b}`,
      "",
      "Join in, from another terminal:",
      `  ${paint("bold", `mosquitto_sub ${at} -t 'demo/#' -v`)}`,
      `  ${paint("bold", `mosquitto_pub ${at} -t demo/hello -m hi`)}`,
      `  ${paint("bold", `npx mqtt sub ${at} -t 'demo/#' -v`)}   ${paint("dim", "(without mosquitto)")}`,
      "Ctrl-C ends it.",
      "",
    ].join("\n"));
  }

  #time(paint: Paint): string {
    const now = new Date(this.#system.wallClock());
    return paint("dim", [now.getHours(), now.getMinutes(), now.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":"));
  }
}

function cut(text: string, max: number): string {
  const shown = printable(text);
  return shown.length > max ? `${shown.slice(0, max - 1)}…` : shown;
}
