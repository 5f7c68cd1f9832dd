/** How long an answer serves: a storm of reconnecting clients asks once, a broker that moved is found soon. */
const CACHED_MS = 5_000;
const CACHED_MAX = 256;

const answers = new Map<string, { readonly addresses: readonly string[]; readonly until: number }>();

/** The addresses of a name, in the order of the machine's resolver (its hosts file and .local names included); rejects when there is none. */
export async function lookUp(host: string): Promise<readonly string[]> {
  const known = answers.get(host);
  if (known !== undefined && known.until > performance.now()) return known.addresses;
  const found = await Bun.dns.lookup(host, { socketType: "tcp", backend: "system" }).catch(rename);
  const addresses = [...new Set(found.map(({ address }) => address))];
  if (answers.size >= CACHED_MAX) answers.clear();
  answers.set(host, { addresses, until: performance.now() + CACHED_MS });
  return addresses;
}

/** `DNS_ENOTFOUND` is what everyone else calls `ENOTFOUND`. */
function rename(thrown: unknown): never {
  const { code, message } = thrown as { code?: string; message?: string };
  throw { code: (code ?? "ENOTFOUND").replace(/^DNS_/, ""), message };
}
