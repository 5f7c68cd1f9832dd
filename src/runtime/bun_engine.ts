import { edenGC } from "bun:jsc";

/** The executable starts with a compiler that waits long, which keeps a quiet proxy small; from so many connections on it is a busy one. */
const BUSY_AFTER = 64;
/** So many connections leave enough behind to look at the clock. */
const LOOK_EVERY = 32;
/** Bun's allocator gives back to the system what was free for 100 ms. */
const COLLECT_EVERY_MS = 100;
/** A collection takes no more than this part of the time. */
const COLLECT_SHARE = 1 / 64;

let connections = 0;
let collectAt = 0;

/** A client has come: what the engine would learn too late by itself. */
export function connectionCame(): void {
  connections += 1;
  if (connections === BUSY_AFTER) Bun.unsafe.setJITPolicy(1);
  if (connections % LOOK_EVERY === 0) collectYoung();
}

/**
 * Left to itself JavaScriptCore collects what short connections leave behind so seldom that most of the memory has gone back to the system by
 * then, and is fetched again page by page (`bench/README.md`, 2026-11-29).
 */
function collectYoung(): void {
  const start = performance.now();
  if (start < collectAt) return;
  edenGC();
  const end = performance.now();
  collectAt = end + Math.max(COLLECT_EVERY_MS, (end - start) / COLLECT_SHARE);
}
