import { createConsola, type ConsolaReporter } from "consola/core";
import { createPaint, wantsColor } from "../lib/color.ts";
import { printable } from "../lib/text.ts";
import type { System } from "../runtime/types.ts";
import type { EventName } from "./events.ts";
import { jsonLine, prettyLine, type Entry } from "./lines.ts";
import { createRateLimit } from "./rate_limit.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Five functions, and nothing of the library behind them shows. */
export interface Log {
  debug(event: EventName, message: string, fields?: LogFields): void;
  info(event: EventName, message: string, fields?: LogFields): void;
  warn(event: EventName, message: string, fields?: LogFields): void;
  error(event: EventName, message: string, fields?: LogFields): void;
  /** Whether a line of this level would be written: asked before fields are gathered. */
  isOn(level: LogLevel): boolean;
}

export interface LogSettings {
  readonly level: LogLevel;
  readonly format: "auto" | "pretty" | "json";
  readonly color: "auto" | "always" | "never";
}

export type LogSystem = Pick<System, "writeError" | "errorIsTerminal" | "env" | "now" | "wallClock">;

/** consola's numbers. */
const LEVELS: Record<LogLevel, number> = { error: 0, warn: 1, info: 3, debug: 4 };

export function createLog(settings: LogSettings, system: LogSystem): Log {
  const threshold = LEVELS[settings.level];
  // Not the default instance: that one takes its level from TEST, DEBUG and CI, holds lines back and writes info to stdout.
  const consola = createConsola({ level: threshold, throttle: 0, reporters: [createReporter(settings, system)] });
  const limit = createRateLimit(system.now);

  function put(level: LogLevel, event: EventName, message: string, fields: LogFields): void {
    consola[level]({ event, text: printable(message), fields: printableFields(fields) } satisfies Omit<Entry, "level" | "wallClock">);
  }
  function write(level: LogLevel, event: EventName, message: string, fields: LogFields): void {
    for (const due of limit.due()) put("warn", due.event, `… ${due.count} similar in ${due.seconds} s`, { similar: due.count });
    if (limit.admits(event)) put(level, event, message, fields);
  }
  const writer = (level: LogLevel): Log["info"] =>
    LEVELS[level] > threshold ? () => {} : (event, message, fields = {}) => write(level, event, message, fields);

  return {
    debug: writer("debug"),
    info: writer("info"),
    warn: writer("warn"),
    error: writer("error"),
    isOn: (level) => LEVELS[level] <= threshold,
  };
}

function createReporter(settings: LogSettings, system: LogSystem): ConsolaReporter {
  const isPretty = settings.format === "pretty" || (settings.format === "auto" && system.errorIsTerminal);
  const paint = createPaint(wantsColor(settings.color, { isTerminal: system.errorIsTerminal, env: (name) => system.env(name) }));
  return {
    log({ type, args }) {
      const entry: Entry = { level: type as LogLevel, wallClock: system.wallClock(), ...args[0] };
      try {
        system.writeError(isPretty ? prettyLine(entry, paint) : jsonLine(entry));
      } catch {
        // Whoever read stderr is gone. A proxy that nobody listens to still has clients.
      }
    },
  };
}

function printableFields(fields: LogFields): LogFields {
  const clean: Record<string, string | number | boolean> = {};
  for (const key in fields) {
    const value = fields[key];
    if (value !== undefined) clean[key] = typeof value === "string" ? printable(value) : value;
  }
  return clean;
}
