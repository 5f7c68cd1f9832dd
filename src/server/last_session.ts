/** Waits for the last session to end, or for a time to pass. */
export class LastSession {
  readonly #count: () => number;
  #whenEmpty: (() => void) | undefined = undefined;

  /** `count`: sessions that are left. */
  constructor(count: () => number) {
    this.#count = count;
  }

  /** One has ended. */
  noteEnd(): void {
    if (this.#count() === 0) this.#whenEmpty?.();
  }

  within(milliseconds: number): Promise<void> {
    if (this.#count() === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      const before = this.#whenEmpty;
      this.#whenEmpty = () => {
        clearTimeout(timer);
        before?.();
        resolve();
      };
    });
  }
}
