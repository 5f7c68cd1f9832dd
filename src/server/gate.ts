import { fileOfCheck } from "../config/material.ts";
import type { AuthenticationConfig } from "../config/types.ts";
import { parseNetwork, type Network } from "../lib/network.ts";
import type { TimerWheel } from "../lib/timer_wheel.ts";
import { connectPassword } from "../mqtt/connect_fields.ts";
import type { Connect } from "../mqtt/connect.ts";
import { type Fault, fault } from "../mqtt/fault.ts";
import { EVENTS } from "../observe/events.ts";
import type { Log } from "../observe/log.ts";
import { createAuthenticate, type Authenticate, type Decision } from "../policy/authentication/authentication.ts";
import { Bans } from "../policy/authentication/bans.ts";
import type { Authenticator, Claims, Identity } from "../policy/authentication/types.ts";
import type { Broker } from "../pool/broker.ts";
import type { System } from "../runtime/types.ts";
import type { Session } from "../session/session.ts";
import { createAuthenticator, type CheckFault } from "./authenticators.ts";
import { Expiries } from "./expiries.ts";
import { FileStamps } from "./file_stamps.ts";
import { logBan } from "./session_log.ts";

export interface GateOptions {
  readonly config: AuthenticationConfig;
  /** The files of the checks, by their number. */
  readonly contents: readonly (Uint8Array | undefined)[];
  readonly system: Pick<System, "now" | "wallClock" | "readFile" | "fileStamp">;
  readonly wheel: TimerWheel;
  readonly log: Log;
}

type Chosen = readonly Broker[] | Fault;
/** Goes on with a client that is let in, and with the claims of its token. */
type Choose = (claims: Claims | undefined) => Chosen | Promise<Chosen>;
const NOBODY: readonly Broker[] = [];

/** Where clients show who they are, before any broker hears of them. */
export class Gate {
  readonly #options: GateOptions;
  readonly #authenticators: Authenticator[];
  readonly #bans: Bans | undefined;
  readonly #expiries: Expiries<Session>;
  /** By the number of the check. */
  readonly #stamps: FileStamps<number>;
  #authenticate: Authenticate;

  private constructor(options: GateOptions, authenticators: Authenticator[]) {
    this.#options = options;
    this.#authenticators = authenticators;
    this.#stamps = new FileStamps(options.system);
    this.#bans = bansOf(options.config);
    this.#expiries = new Expiries(options.wheel, hasExpired);
    this.#authenticate = this.#chain();
  }

  /** Whatever is wrong with a check keeps the gate from opening. */
  static async open(options: GateOptions): Promise<Gate | CheckFault> {
    const authenticators: Authenticator[] = [];
    for (const [index, check] of options.config.checks.entries()) {
      const made = await createAuthenticator(check, options.contents[index], options.system);
      if ("reason" in made) return made;
      authenticators.push(made);
    }
    const gate = new Gate(options, authenticators);
    await gate.look();
    return gate;
  }

  #chain(): Authenticate {
    const { config, system } = this.#options;
    return createAuthenticate({
      authenticators: [...this.#authenticators],
      anonymous: config.anonymous,
      ...(this.#bans && { bans: this.#bans }),
      now: () => system.now(),
    });
  }

  /** Whether the clients of this listener are checked. */
  guards(listener: string): boolean {
    return this.#options.config.listeners.includes(listener);
  }

  /** The refusal of a client whose address is banned. */
  judgeAddress(address: string): Fault | undefined {
    const banned = this.#bans?.judgeAddress(address, this.#options.system.now());
    return banned && fault(banned.code, banned.detail);
  }

  /** Without a promise where everything is known at once. */
  admit(session: Session, choose: Choose): Chosen | Promise<Chosen> {
    const decision = this.#authenticate(identityOf(session));
    if (!(decision instanceof Promise)) return this.#settle(session, decision, choose);
    return decision.then((late) => this.#settle(session, late, choose));
  }

  #settle(session: Session, decision: Decision, choose: Choose): Chosen | Promise<Chosen> {
    const { by, bansNetwork } = decision;
    if (bansNetwork !== undefined) logBan(this.#options.log, bansNetwork, this.#options.config.bans?.automatic?.banMs ?? 0);
    if (session.machine.state !== "deciding") return NOBODY; // it left, or waited too long
    if (decision.kind === "refused") return fault(decision.code, by === "bans" || by === "anonymous" ? decision.detail : `${by}: ${decision.detail}`);
    // A name that nobody checked is not told to the log: some clients put secrets there.
    if (by !== "none") session.username = decision.username ?? session.connect?.username;
    if (decision.expiresAt !== undefined) this.#expiries.watch(session, decision.expiresAt - this.#options.system.wallClock());
    return choose(decision.claims);
  }

  finished(session: Session): void {
    this.#expiries.forget(session);
  }

  /** Files that changed make authenticators of their own; one that cannot be used changes nothing. */
  async look(): Promise<void> {
    for (const [index, check] of this.#options.config.checks.entries()) {
      const file = fileOfCheck(check)?.file;
      if (file !== undefined && (await this.#stamps.haveChanged(index, [file]))) await this.#readAgain(index, file);
    }
  }

  async #readAgain(index: number, file: string): Promise<void> {
    const { config, system, log } = this.#options;
    const bytes = await system.readFile(file);
    const check = config.checks[index]!;
    const made = bytes instanceof Uint8Array ? await createAuthenticator(check, bytes, system) : { reason: `cannot read "${file}": ${bytes.message}` };
    if ("reason" in made) return log.error(EVENTS.configWarning, `what changed on disk is not used, the old contents stay: ${made.reason}`, { file });
    this.#authenticators[index] = made;
    this.#authenticate = this.#chain();
    log.info(EVENTS.configWarning, `clients are checked with what changed in "${file}"`, { file });
  }
}

function hasExpired(session: Session): void {
  session.step({ type: "violated", fault: fault("not_authorized", "what let the client in has expired") });
}

/** undefined: nobody is banned. */
export function bansOf({ bans }: AuthenticationConfig): Bans | undefined {
  if (bans === undefined) return undefined;
  const { addresses, usernames, clientIds, automatic } = bans;
  return new Bans({ networks: addresses.map((network) => parseNetwork(network) as Network), usernames, clientIds }, automatic);
}

function identityOf(session: Session): Identity {
  const connect = session.connect as Connect;
  return {
    clientId: connect.clientId,
    username: connect.username,
    password: connectPassword(connect),
    address: session.address,
    listener: session.context.listenerName,
    certificate: session.origin?.tls?.certificate,
  };
}
