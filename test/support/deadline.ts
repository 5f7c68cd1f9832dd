/** Waiting with an end: a test that waits for something always says for what, and for how long at most. */

export class DeadlinePassed extends Error {
  constructor(what: string, milliseconds: number) {
    super(`waited ${milliseconds} ms for ${what}`);
    this.name = "DeadlinePassed";
  }
}

/** The promise's own outcome, or `DeadlinePassed`. What the promise does later is ignored. */
export function within<T>(milliseconds: number, promise: Promise<T>, what: string): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(new DeadlinePassed(what, milliseconds)), milliseconds);
    promise.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (reason) => {
        clearTimeout(timer);
        reject(reason);
      },
    );
  });
}

/**
 * Polls until the condition holds. The first looks follow each other closely and later ones at 20 ms, so that what
 * happens at once costs nothing and what takes long does not take the processor from the thing under test.
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  milliseconds: number,
  what: string,
): Promise<void> {
  const end = performance.now() + milliseconds;
  let pauseMs = 1;
  while (!(await condition())) {
    if (performance.now() > end) throw new DeadlinePassed(what, milliseconds);
    await pause(pauseMs);
    pauseMs = Math.min(pauseMs * 2, 20);
  }
}

/** For faults that are made of time (a stall, a slow peer), never to hope that something else is done by then. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
