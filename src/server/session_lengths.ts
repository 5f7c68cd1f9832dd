import type { TimerWheel } from "../lib/timer_wheel.ts";
import { fault } from "../mqtt/fault.ts";
import type { System } from "../runtime/types.ts";
import { Session } from "../session/session.ts";
import type { Tunnel } from "../session/tunnel.ts";
import { Expiries } from "./expiries.ts";

/** The last part of the length within which sessions end, so that those that began together do not come again together. */
const JITTER = 0.1;

/** No session lasts longer than it may; loaded only where there is such a limit. */
export class SessionLengths {
  readonly #expiries: Expiries<Session | Tunnel>;
  readonly #lengthMaxMs: number;
  readonly #system: Pick<System, "random">;

  constructor(wheel: TimerWheel, lengthMaxMs: number, system: Pick<System, "random">) {
    this.#expiries = new Expiries(wheel, end);
    this.#lengthMaxMs = lengthMaxMs;
    this.#system = system;
  }

  opened(subject: Session | Tunnel): void {
    this.#expiries.watch(subject, this.#lengthMaxMs * (1 - JITTER * this.#system.random()));
  }

  finished(subject: Session | Tunnel): void {
    this.#expiries.forget(subject);
  }
}

const why = fault("session_length_reached", "the session has lasted as long as it may");

/** Between two packets: nothing of a broker's packet is lost to the client. */
function end(subject: Session | Tunnel): void {
  if (subject instanceof Session) subject.step({ type: "leave", fault: why });
  else subject.end(why);
}
