import type { Configuration } from "../config/types.ts";
import type { TimerWheel } from "../lib/timer_wheel.ts";
import { type Fault, fault } from "../mqtt/fault.ts";
import type { Broker } from "../pool/broker.ts";
import type { System } from "../runtime/types.ts";
import { Session } from "../session/session.ts";
import type { Tunnel } from "../session/tunnel.ts";
import type { Admissions } from "./admissions.ts";
import type { Chooser } from "./chooser.ts";
import type { SessionLengths } from "./session_lengths.ts";
import type { WaitingRoom } from "./waiting_room.ts";

export interface OptionalLimitsOptions {
  readonly configuration: Configuration;
  readonly chooser: Chooser;
  readonly wheel: TimerWheel;
  readonly system: Pick<System, "random">;
}

/** The limits that are off unless they are set; what is off is not loaded. */
export class OptionalLimits {
  readonly admissions: Admissions | undefined;
  readonly waiting: WaitingRoom | undefined;
  /** `claim` of a session's or a tunnel's context; undefined: each broker takes as many as come. */
  readonly claim: ((broker: Broker, client: Session | Tunnel) => Fault | undefined) | undefined;
  readonly #lengths: SessionLengths | undefined;

  private constructor(options: OptionalLimitsOptions, loaded: { readonly admissions: Admissions | undefined; readonly waiting: WaitingRoom | undefined; readonly lengths: SessionLengths | undefined }) {
    this.admissions = loaded.admissions;
    this.waiting = loaded.waiting;
    this.#lengths = loaded.lengths;
    const isBounded = options.configuration.pools.some(({ brokers, waiting }) => waiting !== undefined || brokers.some(({ sessionsMax, connectRate }) => sessionsMax !== undefined || connectRate !== undefined));
    this.claim = isBounded ? (broker, client) => this.#claim(broker, client, options.wheel.now) : undefined;
  }

  static async load(options: OptionalLimitsOptions): Promise<OptionalLimits> {
    const { configuration: { limits, listeners, pools }, chooser, wheel, system } = options;
    const { sessionLengthMaxMs } = limits;
    const wantsAdmissions = asks(limits) || listeners.some(({ connectionsMax, connectRate }) => connectionsMax !== undefined || connectRate !== undefined);
    return new OptionalLimits(options, {
      admissions: wantsAdmissions ? new (await import("./admissions.ts")).Admissions(limits, listeners) : undefined,
      waiting: pools.some(({ waiting }) => waiting !== undefined) ? new (await import("./waiting_room.ts")).WaitingRoom({ pools: [...chooser.pools.values()], wheel }) : undefined,
      lengths: sessionLengthMaxMs === undefined ? undefined : new (await import("./session_lengths.ts")).SessionLengths(wheel, sessionLengthMaxMs, system),
    });
  }

  #claim(broker: Broker, client: Session | Tunnel, now: number): Fault | undefined {
    if (this.waiting?.redeem(client, broker) === true || broker.take(now)) return undefined;
    if (broker.hasRoom) return fault("connection_rate_exceeded", `${broker.name} had all the clients that it may get in this time`);
    return fault("server_busy", `${broker.name} has all the sessions it may have`);
  }

  opened(client: Session | Tunnel): void {
    this.#lengths?.opened(client);
  }

  finished(client: Session | Tunnel): void {
    this.#lengths?.finished(client);
    this.admissions?.left(client.client);
    if (client instanceof Session) this.waiting?.finished(client);
  }
}

function asks({ connectionsPerAddressMax, connectionsPerUsernameMax, connectRatePerAddress }: Configuration["limits"]): boolean {
  return connectionsPerAddressMax !== undefined || connectionsPerUsernameMax !== undefined || connectRatePerAddress !== undefined;
}
