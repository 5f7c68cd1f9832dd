import type { Bans } from "./bans.ts";
import { refused, type Allowed, type Authenticator, type Identity, type Refused, type Verdict } from "./types.ts";

/** The last word about a client. */
export type Decision = (Allowed | Refused) & {
  /** Who said so: an authenticator's name, "bans", "anonymous", or "none" when no authenticator is configured. */
  readonly by: string;
  /** This failure was one too many: the network that is banned from now on. */
  readonly bansNetwork?: string;
};

export interface AuthenticationOptions {
  /** In this order: the first that has something to say decides. None: every client that is not banned goes on, for the broker to check. */
  readonly authenticators: readonly Authenticator[];
  /** Whether clients come in that show neither user name nor password, and that no authenticator knows. */
  readonly anonymous: boolean;
  readonly bans?: Bans;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

export type Authenticate = (identity: Identity) => Decision | Promise<Decision>;

/** Asks the bans, then one authenticator after the other. What needs no waiting is answered without a promise. Never throws, never rejects. */
export function createAuthenticate(options: AuthenticationOptions): Authenticate {
  return (identity) => {
    const banned = options.bans?.judge(identity, options.now());
    return banned ? { ...banned, by: "bans" } : walk(options, identity, 0);
  };
}

function walk(options: AuthenticationOptions, identity: Identity, first: number): Decision | Promise<Decision> {
  for (let index = first; index < options.authenticators.length; index++) {
    const authenticator = options.authenticators[index]!;
    const verdict = ask(authenticator, identity);
    if (verdict instanceof Promise) {
      return verdict.then((late) => (late.kind === "next" ? walk(options, identity, index + 1) : settle(options, identity, { ...late, by: authenticator.name })));
    }
    if (verdict.kind !== "next") return settle(options, identity, { ...verdict, by: authenticator.name });
  }
  return settle(options, identity, atTheEnd(options, identity));
}

/** A bug in an authenticator keeps the client out, and nobody else. */
function ask(authenticator: Authenticator, identity: Identity): Verdict | Promise<Verdict> {
  try {
    const verdict = authenticator.check(identity);
    return verdict instanceof Promise ? verdict.catch(failed) : verdict;
  } catch (thrown) {
    return failed(thrown);
  }
}

function failed(thrown: unknown): Refused {
  return refused("auth_unavailable", `the check failed: ${thrown instanceof Error ? thrown.name : typeof thrown}`);
}

function atTheEnd({ authenticators, anonymous }: AuthenticationOptions, identity: Identity): Decision {
  if (authenticators.length === 0) return { kind: "allowed", by: "none" };
  if (showsSomething(identity)) return { ...refused("bad_credentials", "nobody knows these credentials"), by: "anonymous" };
  if (anonymous) return { kind: "allowed", by: "anonymous" };
  return { ...refused("not_authorized", "no credentials, and anonymous clients are not let in"), by: "anonymous" };
}

/** A user name without a password is no anonymous client, and neither is a password alone, which MQTT 5 allows. */
function showsSomething({ username, password }: Identity): boolean {
  return username !== undefined || password !== undefined;
}

function settle({ bans, now }: AuthenticationOptions, identity: Identity, decision: Decision): Decision {
  if (bans === undefined) return decision;
  if (decision.kind === "allowed") {
    // Guesses that were under way together: the one that fits comes too late when the others were too many.
    const banned = bans.judge(identity, now());
    return banned ? { ...banned, by: "bans" } : decision;
  }
  // Who shows nothing guesses nothing, and a service that is down is not the client's fault.
  if (decision.code === "auth_unavailable" || !showsSomething(identity)) return decision;
  const bansNetwork = bans.failed(identity.address, now());
  return bansNetwork === undefined ? decision : { ...decision, bansNetwork };
}
