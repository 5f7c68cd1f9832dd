import type { Paint, Style } from "../lib/color.ts";
import type { EventName } from "./events.ts";
import type { LogFields, LogLevel } from "./log.ts";

/** One line of the log, its text already safe to show. */
export interface Entry {
  readonly level: LogLevel;
  readonly event: EventName;
  readonly text: string;
  readonly fields: LogFields;
  /** Milliseconds since 1970. */
  readonly wallClock: number;
}

export function jsonLine({ wallClock, level, event, text, fields }: Entry): string {
  return JSON.stringify({ time: new Date(wallClock).toISOString(), level, event, msg: text, ...fields });
}

/** `12:04:31 client.open  sensor-7 from 10.0.0.9:51234 → 10.0.0.5:1883 (MQTT 5)  listener=mqtt://:1883` */
export function prettyLine({ wallClock, level, event, text, fields }: Entry, paint: Paint): string {
  const rest = Object.entries(fields)
    .filter(([key, value]) => !isSaid(key, String(value), text))
    .map(([key, value]) => ` ${key}=${/[\s"=]/.test(String(value)) ? JSON.stringify(value) : value}`)
    .join("");
  const label = level === "warn" ? "warning: " : level === "error" ? "error: " : "";
  return `${paint("dim", clock(wallClock))} ${paint(styleOf(level, event), event)}  ${label}${text}${rest === "" ? "" : paint("dim", ` ${rest}`)}`;
}

/** How messages say a field, if they do. Every other field is always shown: its value may stand in a message by chance. */
const AS_SAID: Readonly<Record<string, (value: string) => string>> = {
  "client.id": (value) => value,
  "client.address": (value) => value,
  "client.port": (value) => `:${value}`,
  "mqtt.version": (value) => `(MQTT ${value})`,
  broker: (value) => value,
  similar: (value) => `${value} similar`,
};

function isSaid(key: string, value: string, text: string): boolean {
  const said = AS_SAID[key];
  return said !== undefined && text.includes(said(value));
}

function styleOf(level: LogLevel, event: EventName): Style {
  if (level === "error") return "red";
  if (level === "warn") return "yellow";
  return /\.(open|start|up)$/.test(event) ? "green" : "cyan";
}

/** The local time of day; toLocaleTimeString would cost 6 MB. */
function clock(wallClock: number): string {
  const date = new Date(wallClock);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}
