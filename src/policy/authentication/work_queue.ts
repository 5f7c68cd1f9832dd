export interface WorkQueueOptions {
  /** How many pieces of work run at a time. */
  readonly runningMax: number;
  /** How many more may wait for their turn. */
  readonly waitingMax: number;
}

/** Runs so many pieces of work at a time and lets so many wait, in order: more is refused, so that a flood ends in refusals and not in memory. */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** What the work answers; undefined: too much is waiting already, and it will not be done. */
  run<Result>(work: () => Promise<Result>): Promise<Result> | undefined {
    if (this.#running < this.#options.runningMax) return this.#begin(work);
    if (this.#waiting.length >= this.#options.waitingMax) return undefined;
    return new Promise((resolve) => {
      this.#waiting.push(() => resolve(this.#begin(work)));
    });
  }

  async #begin<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#running++;
    try {
      return await work();
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }
}
