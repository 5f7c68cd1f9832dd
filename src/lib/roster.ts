/** Something that stands in one roster at a time. The field belongs to the roster; -1: it stands in none. */
export interface Listed {
  rosterPlace: number;
}

/**
 * Who is there, in no order. A `Set` would hold who is gone as well: with each table that it outgrows it leaves behind who was in it then, and on
 * JavaScriptCore those stay until a collection of the whole heap: 3 to 11 % of what a short connection costs (`bench/README.md`).
 */
export class Roster<Member extends Listed> implements Iterable<Member> {
  readonly #members: Member[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(member: Member): void {
    member.rosterPlace = this.#members.push(member) - 1;
  }

  /** Harmless for one that is not there. */
  delete(member: Member): void {
    const place = member.rosterPlace;
    if (this.#members[place] !== member) return;
    member.rosterPlace = -1;
    const last = this.#members.pop() as Member;
    if (last === member) return;
    this.#members[place] = last;
    last.rosterPlace = place;
  }

  /** Those that are there now: they may leave, and others come, meanwhile. */
  [Symbol.iterator](): IterableIterator<Member> {
    return [...this.#members].values();
  }
}
