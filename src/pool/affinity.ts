import { LruMap } from "../lib/lru_map.ts";
import type { Version } from "../mqtt/fault.ts";
import type { Broker } from "./broker.ts";

/** An identifier may have 65,535 bytes. The table holds so many characters for each entry it may have: less when its clients are talkative. */
const CHARACTERS_PER_ENTRY = 64;
/** MQTT 5 section 3.1.2.11.2: the session does not expire. */
const NEVER = 0xffffffff;

export interface AffinityLimits {
  readonly entriesMax: number;
  readonly expiryMaxMs: number;
}

export interface Opened {
  /** As the client gave it, or as the broker assigned it. */
  readonly clientId: string;
  readonly broker: Broker;
  readonly cleanStart: boolean;
  /** How long the broker keeps the MQTT session after the connection; 0: not at all. */
  readonly expiryMs: number;
  /** Whatever is one with the connection, to tell it from the next one of the same client. */
  readonly holder: object;
}

/** Where an older session of a client is. */
export interface Left {
  readonly broker: Broker;
  /** Its connection is still there: whoever ends the session there ends that too. */
  readonly isHeld: boolean;
}

interface Entry {
  readonly broker: Broker;
  expiryMs: number;
  /** undefined: the client left. */
  holder: object | undefined;
  /** Infinity while the client is there. */
  expiresAt: number;
}

/** How long a broker may keep a client's MQTT session after its connection, in milliseconds. `expirySeconds`: MQTT 5's Session Expiry Interval, the broker's if it gave one. */
export function sessionExpiryMs(connect: { readonly version: Version; readonly cleanStart: boolean; readonly expirySeconds?: number | undefined }): number {
  if (connect.version !== 5) return connect.cleanStart ? 0 : Infinity; // MQTT 3.1.1 section 3.1.2.4
  return expiryIntervalMs(connect.expirySeconds ?? 0);
}

/** MQTT 5's Session Expiry Interval in milliseconds. */
export function expiryIntervalMs(seconds: number): number {
  return seconds === NEVER ? Infinity : seconds * 1000;
}

/**
 * Which broker holds a client's MQTT session. A client is in it only when its broker may keep something for it; bounded in entries and in
 * characters, and what was not used for longest is forgotten first: then the client is balanced like a new one.
 */
export class AffinityTable {
  readonly #limits: AffinityLimits;
  readonly #entries = new LruMap<string, Entry>(Infinity);
  #characters = 0;

  constructor(limits: AffinityLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Where the client's session is, for a client that wants it: with a clean start any broker will do. */
  find(clientId: string, now: number): Broker | undefined {
    return this.#live(clientId, now)?.broker;
  }

  /**
   * CONNACK with success. Answers another broker that still keeps an older session of this client and will not hear of it again, if there is
   * one: a clean start there would clear it. Brokers that share their sessions must not be told: it would end the new one.
   */
  opened({ clientId, broker, cleanStart, expiryMs, holder }: Opened, now: number): Left | undefined {
    const before = this.#live(clientId, now);
    // Without a clean start and an expiry there is a session for as long as the connection: it can be taken over by the next one.
    if (clientId !== "" && (expiryMs > 0 || !cleanStart)) {
      this.#keep(clientId, { broker, expiryMs: Math.min(expiryMs, this.#limits.expiryMaxMs), holder, expiresAt: Infinity });
    } else this.#drop(clientId);
    return before === undefined || before.broker === broker ? undefined : { broker: before.broker, isHeld: before.holder !== undefined };
  }

  /** The client leaves with another expiry than it came with, and its broker was told. */
  setExpiry(clientId: string, holder: object, expiryMs: number): void {
    const entry = this.#entries.get(clientId);
    if (entry?.holder === holder) entry.expiryMs = Math.min(expiryMs, this.#limits.expiryMaxMs);
  }

  /** The connection is gone: the session's expiry begins, unless a newer connection of the client has taken it over. */
  closed(clientId: string, holder: object, now: number): void {
    const entry = this.#entries.get(clientId);
    if (entry === undefined || entry.holder !== holder) return;
    entry.holder = undefined;
    entry.expiresAt = now + entry.expiryMs;
  }

  /** So that the client may be moved: it is balanced like a new one when it comes again, unless a newer connection of it is remembered. */
  forget(clientId: string, holder: object): void {
    if (this.#entries.get(clientId)?.holder === holder) this.#drop(clientId);
  }

  #live(clientId: string, now: number): Entry | undefined {
    const entry = this.#entries.get(clientId);
    if (entry === undefined || now < entry.expiresAt) return entry;
    this.#drop(clientId);
    return undefined;
  }

  #keep(clientId: string, entry: Entry): void {
    const { entriesMax } = this.#limits;
    const { size } = this.#entries;
    this.#entries.set(clientId, entry);
    if (this.#entries.size > size) this.#characters += clientId.length;
    while (this.#entries.size > entriesMax || this.#characters > entriesMax * CHARACTERS_PER_ENTRY) this.#drop(this.#entries.oldestKey as string);
  }

  #drop(clientId: string): void {
    if (this.#entries.delete(clientId)) this.#characters -= clientId.length;
  }
}
