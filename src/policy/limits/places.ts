export interface PlacesLimits {
  /** Clients at once under one key. */
  readonly insideMax: number;
  /** Clients over that who are let in for as long as it takes to tell them. */
  readonly overMax: number;
}

/** Those who share a key. */
interface Group {
  readonly key: string;
  inside: number;
  over: number;
}

/**
 * Counts clients by a key: an address, a user name. Who comes first has a place; a few more may come in to hear that there is none. A key is known
 * only while somebody is there under it, so nobody can make the table grow by names or addresses alone.
 */
export class Places {
  readonly limits: PlacesLimits;
  readonly #groups = new Map<string, Group>();

  constructor(limits: PlacesLimits) {
    this.limits = limits;
  }

  /** Keys that somebody is there under. */
  get size(): number {
    return this.#groups.size;
  }

  /** undefined: there is not even room to be told. */
  enter(key: string): Place | undefined {
    const { insideMax, overMax } = this.limits;
    const group = this.#groups.get(key) ?? { key, inside: 0, over: 0 };
    const isInside = group.inside < insideMax;
    if (!isInside && group.over >= overMax) return undefined;
    this.#groups.set(key, group);
    if (isInside) group.inside++;
    else group.over++;
    return new Place(this, group, isInside);
  }

  /** For places only. */
  emptied(group: Group): void {
    this.#groups.delete(group.key);
  }
}

/** One client's, from its coming to its end. */
export class Place {
  readonly #places: Places;
  readonly #group: Group;
  #state: "inside" | "over" | "left";

  constructor(places: Places, group: Group, isInside: boolean) {
    this.#places = places;
    this.#group = group;
    this.#state = isInside ? "inside" : "over";
  }

  /** Whether the client may stay: one that came over the limit may when somebody has left meanwhile. */
  claim(): boolean {
    if (this.#state === "over" && this.#group.inside < this.#places.limits.insideMax) {
      this.#group.over--;
      this.#group.inside++;
      this.#state = "inside";
    }
    return this.#state === "inside";
  }

  /** Once or more often. */
  leave(): void {
    if (this.#state === "left") return;
    if (this.#state === "inside") this.#group.inside--;
    else this.#group.over--;
    this.#state = "left";
    if (this.#group.inside + this.#group.over === 0) this.#places.emptied(this.#group);
  }
}
