import type { TimerWheel } from "../lib/timer_wheel.ts";
import { type Fault, fault } from "../mqtt/fault.ts";
import type { Claims } from "../policy/authentication/types.ts";
import type { Broker } from "../pool/broker.ts";
import type { Session } from "../session/session.ts";
import type { Admissions } from "./admissions.ts";
import type { Chooser } from "./chooser.ts";
import type { Gate } from "./gate.ts";
import { usernameOf } from "./session_keys.ts";
import type { WaitingRoom } from "./waiting_room.ts";

/** Whom a client has to pass; whatever is undefined is off. */
export interface Deciders {
  readonly gate: Gate | undefined;
  readonly admissions: Admissions | undefined;
  readonly waiting: WaitingRoom | undefined;
  readonly chooser: Chooser;
  readonly wheel: TimerWheel;
}

const GONE = fault("client_lost", "the client was gone before anybody asked where it came from");

type Chosen = readonly Broker[] | Fault;

/** The way of a client from its CONNECT to the brokers that it may try: whether too many have come, who it is, where there is room. */
export function decide(session: Session, deciders: Deciders): Chosen | Promise<Chosen> {
  const { gate, admissions, waiting, chooser, wheel } = deciders;
  // A client that reset its connection has no address any more, which neither bans nor limits would know: it is gone, and nobody is asked about it.
  if ((gate !== undefined || admissions !== undefined || chooser.hasRoutes) && session.address === "") return GONE;
  if (gate === undefined && admissions === undefined && waiting === undefined) return chooser.choose(session, wheel.now);
  return decideWithCare(session, deciders);
}

function decideWithCare(session: Session, { gate, admissions, waiting, chooser, wheel }: Deciders): Chosen | Promise<Chosen> {
  const banned = gate?.judgeAddress(session.address); // before it takes of what others may need: the rates are for all
  if (banned !== undefined) return banned;
  const tooMany = admissions?.judge(session.client, session.context.listenerName, session.address, wheel.now);
  if (tooMany !== undefined) return tooMany;
  const choose = (claims?: Claims) => {
    const tooManyOfUser = admissions?.judgeUser(session.client, usernameOf(session));
    if (tooManyOfUser !== undefined) return tooManyOfUser;
    const find = () => chooser.choose(session, wheel.now, claims);
    return waiting === undefined ? find() : waiting.admit(session, find);
  };
  return gate === undefined ? choose() : gate.admit(session, choose);
}
