import type { Pool } from "../pool/pool.ts";
import type { Session } from "../session/session.ts";
import { Mover } from "./mover.ts";

const LOOK_EVERY_MS = 1_000;

export interface RebalancingOptions {
  readonly pools: readonly Pool[];
  readonly sessions: Iterable<Session>;
  readonly now: () => number;
  readonly random: () => number;
}

/** The movers of all pools that are rebalanced; loaded only where there are such. */
export class Rebalancing {
  readonly #movers: ReadonlyMap<Pool, Mover>;
  readonly #looking: ReturnType<typeof setInterval>;

  constructor({ pools, sessions, now, random }: RebalancingOptions) {
    this.#movers = new Map(pools.map((pool) => [pool, new Mover({ pool, sessions, random })]));
    this.#looking = setInterval(() => {
      for (const mover of this.#movers.values()) mover.look(now());
    }, LOOK_EVERY_MS);
    (this.#looking as { unref?: () => void }).unref?.();
  }

  /** CONNACK with success was passed on. */
  opened(session: Session): void {
    this.#movers.get(session.pool)?.opened(session);
  }

  close(): void {
    clearInterval(this.#looking);
  }
}
