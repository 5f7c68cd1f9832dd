import type { EventName } from "./events.ts";
import type { LogLevel } from "../config/types.ts";

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
