interface Entry<Key, Value> {
  readonly key: Key;
  value: Value;
  /** The one that was used before it, and the one after. */
  older: Entry<Key, Value> | undefined;
  newer: Entry<Key, Value> | undefined;
}

/**
 * A map of bounded size: whoever was not looked at for the longest time goes first. What strangers can fill never grows past it, and a full one
 * costs them no more than an empty one: the order is a chain of entries, for a Map that is asked for its first key walks over all that it has lost.
 */
export class LruMap<Key, Value> {
  readonly #entries = new Map<Key, Entry<Key, Value>>();
  readonly #entriesMax: number;
  #oldest: Entry<Key, Value> | undefined = undefined;
  #newest: Entry<Key, Value> | undefined = undefined;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Who goes next. */
  get oldestKey(): Key | undefined {
    return this.#oldest?.key;
  }

  get(key: Key): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#use(entry);
    return entry.value;
  }

  set(key: Key, value: Value): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      entry.value = value;
      return this.#use(entry);
    }
    const added: Entry<Key, Value> = { key, value, older: undefined, newer: undefined };
    this.#entries.set(key, added);
    this.#append(added);
    if (this.#entries.size > this.#entriesMax) this.delete((this.#oldest as Entry<Key, Value>).key);
  }

  delete(key: Key): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#entries.delete(key);
    this.#unlink(entry);
    return true;
  }

  #use(entry: Entry<Key, Value>): void {
    if (entry === this.#newest) return;
    this.#unlink(entry);
    this.#append(entry);
  }

  #append(entry: Entry<Key, Value>): void {
    entry.older = this.#newest;
    entry.newer = undefined;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
  }

  #unlink({ older, newer }: Entry<Key, Value>): void {
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
  }
}
