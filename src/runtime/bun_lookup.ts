/** How long an answer serves: a storm of reconnecting clients asks once, a broker that moved is found soon. */
const CACHED_MS = 5_000;
const CACHED_MAX = 256;

interface Answer {
  readonly addresses: Promise<readonly string[]>;
  /** Infinite while the resolver is asked. */
  until: number;
}

const answers = new Map<string, Answer>();

/** The addresses of a name, in the order of the machine's resolver (its hosts file and .local names included); rejects when there is none. */
export function lookUp(host: string): Promise<readonly string[]> {
  const known = answers.get(host);
  if (known !== undefined && known.until > performance.now()) return known.addresses;
  if (answers.size >= CACHED_MAX) answers.clear();
  const answer: Answer = { addresses: ask(host), until: Infinity };
  answers.set(host, answer);
  answer.addresses.then(
    () => (answer.until = performance.now() + CACHED_MS),
    () => (answer.until = 0), // asked again the next time
  );
  return answer.addresses;
}

async function ask(host: string): Promise<readonly string[]> {
  const found = await Bun.dns.lookup(host, { socketType: "tcp", backend: "system" }).catch(rename);
  return [...new Set(found.map(({ address }) => address))];
}

/** `DNS_ENOTFOUND` is what everyone else calls `ENOTFOUND`. */
function rename(thrown: unknown): never {
  const { code, message } = thrown as { code?: string; message?: string };
  throw { code: (code ?? "ENOTFOUND").replace(/^DNS_/, ""), message };
}
