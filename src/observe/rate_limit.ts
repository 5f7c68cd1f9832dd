import { EVENTS, type EventName } from "./events.ts";

/** Events that a stranger can cause at will. The ones that tell of sessions are never held back: they are the record. */
const LIMITED: ReadonlySet<EventName> = new Set([EVENTS.clientReject, EVENTS.internalError, EVENTS.brokerDown, EVENTS.brokerUp]);
const LINES_MAX = 10;
const WINDOW_MS = 10_000;

interface Window {
  readonly startedAt: number;
  lines: number;
  suppressed: number;
}

export interface Suppressed {
  readonly event: EventName;
  readonly count: number;
  readonly seconds: number;
}

/**
 * Lets so many lines per event and window through, and counts the rest. It has no timer: what was suppressed is told by
 * `due`, which is asked before every line.
 */
export function createRateLimit(now: () => number) {
  const windows = new Map<EventName, Window>();
  return {
    admits(event: EventName): boolean {
      if (!LIMITED.has(event)) return true;
      let window = windows.get(event);
      if (!window) windows.set(event, (window = { startedAt: now(), lines: 0, suppressed: 0 }));
      if (window.lines < LINES_MAX) return ++window.lines > 0;
      window.suppressed++;
      return false;
    },
    /** Windows that are over, each once. */
    due(): Suppressed[] {
      const over: Suppressed[] = [];
      for (const [event, window] of windows) {
        if (now() - window.startedAt < WINDOW_MS) continue;
        windows.delete(event);
        if (window.suppressed > 0) over.push({ event, count: window.suppressed, seconds: WINDOW_MS / 1_000 });
      }
      return over;
    },
  };
}
