import { readPoolTlsAgain } from "../config/material.ts";
import type { PoolConfig, PoolMaterial } from "../config/types.ts";
import { EVENTS } from "../observe/events.ts";
import type { Log } from "../observe/log.ts";
import type { System } from "../runtime/types.ts";
import type { CertificateStore } from "./certificate_store.ts";
import type { Gate } from "./gate.ts";
import { FileStamps } from "./file_stamps.ts";

/** How often the files are looked at, in milliseconds. */
const LOOK_EVERY_MS = 1_000;
/** How often the local authority is asked whether its certificate needs renewing. */
const RENEW_EVERY_MS = 86_400_000;

interface Watched {
  readonly system: System;
  readonly log: Log;
  readonly stores: readonly CertificateStore[];
  /** Those that name files. */
  readonly pools: readonly PoolConfig[];
  /** By pool name: what is read anew is put here. */
  readonly materials: Map<string, PoolMaterial>;
  /** Looks at the files of authentication; absent: there is none. */
  readonly gate: Gate | undefined;
  /** Writes new certificates where old ones are about to expire; absent: nobody but their owner does. */
  readonly renew: (() => Promise<unknown>) | undefined;
}

/**
 * Looks at the files of certificates and of authentication while the proxy runs. Asking what the path shows now, and not the kernel for events, sees a file that was
 * replaced by a rename and a symbolic link that was turned to another folder alike, on every runtime and file system.
 */
export class FileWatch {
  readonly #watched: Watched;
  readonly #stamps: FileStamps<PoolConfig>;
  readonly #timers: ReturnType<typeof setInterval>[] = [];

  constructor(watched: Watched) {
    this.#watched = watched;
    this.#stamps = new FileStamps(watched.system);
    void this.#look();
    this.#every(LOOK_EVERY_MS, () => this.#look());
    const { renew } = watched;
    if (renew !== undefined) this.#every(RENEW_EVERY_MS, renew);
  }

  #every(milliseconds: number, work: () => Promise<unknown>): void {
    const timer = setInterval(() => void work(), milliseconds);
    (timer as { unref?: () => void }).unref?.();
    this.#timers.push(timer);
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  async #look(): Promise<void> {
    for (const store of this.#watched.stores) await store.look();
    for (const pool of this.#watched.pools) await this.#lookAtPool(pool);
    await this.#watched.gate?.look();
  }

  async #lookAtPool(pool: PoolConfig): Promise<void> {
    const { system, log, materials } = this.#watched;
    if (!(await this.#stamps.haveChanged(pool, filesOf(pool.tls)))) return;
    const material = await readPoolTlsAgain(pool, system);
    if ("problems" in material) {
      log.error(EVENTS.certificateRefused, `what changed on disk is not used, the old contents stay: ${material.problems[0]?.reason}`, { pool: pool.name });
    } else {
      materials.set(pool.name, material);
      log.info(EVENTS.certificateLoaded, `new connections to the brokers of pool "${pool.name}" use what changed on disk`, { pool: pool.name });
    }
  }
}

function filesOf({ caFile, certFile, keyFile }: PoolConfig["tls"]): string[] {
  return [caFile, certFile, keyFile].filter((file) => file !== undefined);
}
