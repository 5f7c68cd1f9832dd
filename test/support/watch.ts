import { within } from "./deadline.ts";

/** Waiting for what events bring about: whoever changes something tells, and conditions are looked at again. */
export class Watch {
  #watchers = new Set<() => void>();

  tell(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  async until(condition: () => boolean, milliseconds: number, what: string): Promise<void> {
    let watcher = (): void => {};
    const held = new Promise<void>((resolve) => {
      watcher = () => {
        if (condition()) resolve();
      };
      this.#watchers.add(watcher);
      watcher();
    });
    try {
      await within(milliseconds, held, what);
    } finally {
      this.#watchers.delete(watcher);
    }
  }
}
