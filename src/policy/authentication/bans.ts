import { matchesGlob } from "../../lib/glob.ts";
import { LruMap } from "../../lib/lru_map.ts";
import { includesAddress, type Network } from "../../lib/network.ts";
import { sourceNetwork } from "./source_network.ts";
import { refused, type Identity, type Refused } from "./types.ts";

/**
 * How many networks are counted, and how many banned, at a time: 2 MB each. Failures of strangers never push out bans: these have a table of
 * their own, in which only another ban takes a place.
 */
const NETWORKS_MAX = 10_000;

/** Who never comes in. User names and client ids are globs of `*` and `?`. */
export interface BanRules {
  readonly networks: readonly Network[];
  readonly usernames: readonly string[];
  readonly clientIds: readonly string[];
}

/** So many failures, within so long of the first of them, ban a network for so long. */
export interface AutomaticBans {
  readonly failuresMax: number;
  readonly windowMs: number;
  readonly banMs: number;
}

interface Failures {
  readonly windowEndsAt: number;
  readonly count: number;
}

/** Who is kept out before anybody looks at credentials. All times are monotonic milliseconds. */
export class Bans {
  readonly #rules: BanRules;
  readonly #automatic: AutomaticBans | undefined;
  readonly #failures = new LruMap<string, Failures>(NETWORKS_MAX);
  /** Until when. */
  readonly #banned = new LruMap<string, number>(NETWORKS_MAX);

  constructor(rules: BanRules, automatic?: AutomaticBans) {
    this.#rules = rules;
    this.#automatic = automatic;
  }

  /** The refusal of a client that is banned. */
  judge({ address, username, clientId }: Identity, now: number): Refused | undefined {
    const byAddress = this.judgeAddress(address, now);
    if (byAddress) return byAddress;
    const { usernames, clientIds } = this.#rules;
    if (username !== undefined && usernames.some((pattern) => matchesGlob(pattern, username))) return refused("banned", "the user name is banned");
    if (clientIds.some((pattern) => matchesGlob(pattern, clientId))) return refused("banned", "the client id is banned");
    return undefined;
  }

  /** The same, as soon as no more than the address is known. */
  judgeAddress(address: string, now: number): Refused | undefined {
    if (includesAddress(this.#rules.networks, address)) return refused("banned", "the address is banned");
    if (this.#banned.size === 0) return undefined;
    const network = sourceNetwork(address);
    const until = network === undefined ? undefined : this.#banned.get(network);
    if (network === undefined || until === undefined) return undefined;
    if (now < until) return refused("banned", `${network} is banned for ${Math.ceil((until - now) / 1_000)} s: too many failures`);
    this.#banned.delete(network);
    return undefined;
  }

  /** Counts a failure. Answers with the network when this one was the last that it could afford. */
  failed(address: string, now: number): string | undefined {
    const network = this.#automatic && sourceNetwork(address);
    if (this.#automatic === undefined || network === undefined) return undefined;
    const { failuresMax, windowMs, banMs } = this.#automatic;
    const before = this.#failures.get(network);
    const isOpen = before !== undefined && now < before.windowEndsAt;
    const count = (isOpen ? before.count : 0) + 1;
    if (count < failuresMax) {
      this.#failures.set(network, { windowEndsAt: isOpen ? before.windowEndsAt : now + windowMs, count });
      return undefined;
    }
    this.#failures.delete(network);
    const news = (this.#banned.get(network) ?? now) <= now;
    this.#banned.set(network, now + banMs);
    return news ? network : undefined;
  }
}
