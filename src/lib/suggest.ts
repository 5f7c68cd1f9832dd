/** The candidate that the word was most likely meant to be; undefined when none is near. */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = word.toLowerCase();
  let best: string | undefined;
  let bestDistance = 1 + Math.max(1, Math.floor(wanted.length / 3));
  for (const candidate of candidates) {
    const near = editDistance(wanted, candidate.toLowerCase());
    // A word that was cut short or written out ("password" for "password_file", "certificate" for "cert") is nearer than its letters say.
    const [short, long] = wanted.length < candidate.length ? [wanted, candidate] : [candidate, wanted];
    const distance = short.length >= 4 && long.startsWith(short) ? Math.min(near, 1) : near;
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Damerau's distance in its restricted form: insert, delete, replace, and swap of neighbours, each costs 1. */
export function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1] ? 0 : 1;
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + same);
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]) cost = Math.min(cost, beforeLast[j - 2]! + 1);
      row.push(cost);
    }
    [beforeLast, last] = [last, row];
  }
  return last[to.length]!;
}
