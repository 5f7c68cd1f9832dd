import type { Fault, Version } from "../mqtt/fault.ts";

/** LIFECYCLE.md beside this file draws these and tells what each end looks like. */
export type State = "reading_connect" | "deciding" | "dialing" | "awaiting_connack" | "relaying" | "closing" | "closed";

export type Side = "client" | "broker";

export type Input =
  /** A valid CONNECT was read. */
  | { readonly type: "connect"; readonly version: Version }
  /** The brokers to try are chosen: how many. */
  | { readonly type: "decided"; readonly brokers: number }
  /** This client is turned away before or without a broker. */
  | { readonly type: "turned_away"; readonly fault: Fault; readonly version: Version | undefined }
  | { readonly type: "dialed" }
  /** A dial failed, or a broker closed, stayed silent or spoke nonsense before its CONNACK. */
  | { readonly type: "attempt_failed"; readonly fault: Fault }
  /** The broker sent AUTH to the client: from now on no other broker can take over. */
  | { readonly type: "committed" }
  /** The broker sends the client elsewhere, or is asked whether it does; `decided` or `rejected` follows. */
  | { readonly type: "redirecting" }
  /** CONNACK with success. */
  | { readonly type: "accepted" }
  /** CONNACK with a refusal, which was passed on. */
  | { readonly type: "rejected"; readonly fault: Fault }
  /** FIN: this side will send no more. */
  | { readonly type: "ended"; readonly side: Side }
  /** The connection is gone in both directions; a fault when it did not go in order. */
  | { readonly type: "closed"; readonly side: Side; readonly fault: Fault | undefined }
  /** The client's connection was reset, and it had sent CONNECT alone. */
  | { readonly type: "reset"; readonly fault: Fault }
  /** A running session broke a rule or a limit. */
  | { readonly type: "violated"; readonly fault: Fault }
  | { readonly type: "deadline" }
  /** The packet of `disconnect_at_boundary` is through, and the DISCONNECT behind it where there is one. */
  | { readonly type: "said_goodbye" }
  /** Graceful stop. */
  | { readonly type: "drain"; readonly fault: Fault }
  /** This session has to end, and its client to come again: between two packets, and soon. */
  | { readonly type: "leave"; readonly fault: Fault }
  /** Stop now. */
  | { readonly type: "stop"; readonly fault: Fault };

/** Those that come in each session. */
export const CONNECT_READ = { 3: { type: "connect", version: 3 }, 4: { type: "connect", version: 4 }, 5: { type: "connect", version: 5 } } as const satisfies Readonly<Record<Version, Input>>;
export const DIALED: Input = { type: "dialed" }, ACCEPTED: Input = { type: "accepted" };

/** `deadline` names the one limit that runs from now on; a new one replaces it. */
export type Output =
  | { readonly do: "decide" | "cancel_dial" | "send_connect" | "open" | "discard" | "finished" }
  /** The next one of the brokers. */
  | { readonly do: "dial" }
  /** This broker is left, and its connection, if there is one, reset: it is surely at fault when the dial failed, suspected when it did not answer CONNECT, and not after AUTH. */
  | { readonly do: "give_up_broker"; readonly fault: Fault; readonly blame: "sure" | "suspected" | "none" }
  | { readonly do: "refuse" | "disconnect_now" | "disconnect_at_boundary"; readonly fault: Fault }
  | { readonly do: "end" | "reset"; readonly side: Side }
  | { readonly do: "deadline"; readonly limit: "dial" | "answer" | "idle" | "half_closed" | "linger" };

/** The legal edges; every change of state is checked against them. */
const EDGES: Readonly<Record<State, readonly State[]>> = {
  reading_connect: ["deciding", "closing", "closed"],
  deciding: ["dialing", "closing", "closed"],
  dialing: ["dialing", "awaiting_connack", "closing", "closed"],
  awaiting_connack: ["dialing", "deciding", "relaying", "closing", "closed"],
  relaying: ["closing"],
  closing: ["closed"],
  closed: [],
};

/** What is left of one connection: which directions are still open. */
type Channel = "absent" | "open" | "peer_ended" | "we_ended" | "both_ended" | "closed";

/** Why a session ended: the first cause, in order or not. */
export type EndCause = Fault | "client_closed" | "broker_closed";

const OTHER: Readonly<Record<Side, Side>> = { client: "broker", broker: "client" };
/** Outputs that say nothing but their name, made once: a session has ten of them. */
const DECIDE: Output = { do: "decide" }, DIAL: Output = { do: "dial" }, CANCEL_DIAL: Output = { do: "cancel_dial" }, SEND_CONNECT: Output = { do: "send_connect" };
const OPEN: Output = { do: "open" }, DISCARD: Output = { do: "discard" }, FINISHED: Output = { do: "finished" };
const DEADLINE = {
  dial: { do: "deadline", limit: "dial" },
  answer: { do: "deadline", limit: "answer" },
  idle: { do: "deadline", limit: "idle" },
  half_closed: { do: "deadline", limit: "half_closed" },
  linger: { do: "deadline", limit: "linger" },
} as const satisfies Readonly<Record<Extract<Output, { do: "deadline" }>["limit"], Output>>;
const END: Readonly<Record<Side, Output>> = { client: { do: "end", side: "client" }, broker: { do: "end", side: "broker" } };
const RESET: Readonly<Record<Side, Output>> = { client: { do: "reset", side: "client" }, broker: { do: "reset", side: "broker" } };

/**
 * One session's decisions: inputs in, outputs out. It holds no socket, clock, randomness or log, so a simulation can drive
 * thousands of them. Inputs that come too late for their state are harmless.
 */
export class Machine {
  state: State = "reading_connect";
  /** Set when the end begins. */
  cause: EndCause | undefined = undefined;
  #version: Version | undefined = undefined;
  /** Brokers that are left to be dialed. */
  #untried = 0;
  #committed = false;
  #client: Channel = "open";
  #broker: Channel = "absent";
  #outputs: Output[] = [];

  /** Whether the broker has spoken to the client: no other one can take over. */
  get isCommitted(): boolean {
    return this.#committed;
  }

  /** Whether the client's FIN has come. */
  get hasClientEnded(): boolean {
    return this.#client === "peer_ended" || this.#client === "both_ended";
  }

  /** Puts its outputs into the list, which is the caller's, to be carried out in order; they may lead to further inputs, with a list of their own. */
  step(input: Input, outputs: Output[] = []): Output[] {
    this.#outputs = outputs;
    this.#take(input);
    return outputs;
  }

  #take(input: Input): void {
    switch (input.type) {
      case "connect": return this.#connect(input.version);
      case "decided": return this.#decided(input.brokers);
      case "turned_away": return this.#turnedAway(input.fault, input.version);
      case "dialed": return this.#dialed();
      case "attempt_failed": return this.#attemptFailed(input.fault);
      case "committed": this.#committed = true; return;
      case "redirecting": return this.#redirecting();
      case "accepted": return this.#accepted();
      case "rejected": return this.#finish(input.fault);
      case "ended": return this.#ended(input.side);
      case "closed": return this.#closed(input.side, input.fault);
      case "reset": return this.#clientReset(input.fault);
      case "violated": return this.#violated(input.fault);
      case "deadline": return this.#deadline();
      case "said_goodbye": return this.state === "closing" ? this.#endBoth() : undefined;
      case "drain": return this.#drain(input.fault);
      case "leave": return this.#leave(input.fault, "linger");
      case "stop": return this.#stop(input.fault);
    }
  }

  #put(output: Output): void {
    this.#outputs.push(output);
  }

  #move(to: State): void {
    if (!EDGES[this.state].includes(to)) throw new Error(`session: illegal edge ${this.state} -> ${to}`);
    this.state = to;
  }

  #connect(version: Version): void {
    if (this.state !== "reading_connect") return;
    this.#version = version;
    this.#move("deciding");
    this.#put(DECIDE);
  }

  #decided(brokers: number): void {
    if (this.state !== "deciding") return;
    this.#untried = brokers;
    this.#dial();
  }

  #dial(): void {
    this.#untried--;
    this.#move("dialing");
    this.#put(DIAL);
    this.#put(DEADLINE.dial);
  }

  #turnedAway(fault: Fault, version: Version | undefined): void {
    if (this.state !== "reading_connect" && this.state !== "deciding") return;
    this.#version = version;
    this.#refuse(fault);
  }

  #dialed(): void {
    if (this.state !== "dialing") return;
    this.#broker = "open";
    this.#move("awaiting_connack");
    this.#put(DEADLINE.answer);
    this.#put(SEND_CONNECT);
  }

  /** The next broker, while there is one and the client has heard nothing yet; otherwise the refusal. */
  #attemptFailed(fault: Fault): void {
    if (this.state !== "dialing" && this.state !== "awaiting_connack") return;
    const blame = this.state === "dialing" ? "sure" : this.#committed ? "none" : "suspected";
    this.#put({ do: "give_up_broker", fault, blame });
    this.#broker = "absent";
    if (this.#committed || this.#untried <= 0) this.#refuse(fault);
    else this.#dial();
  }

  /** The broker did what it should: it is left, and nobody blames it. */
  #redirecting(): void {
    if (this.state !== "awaiting_connack" || this.#committed) return;
    this.#put({ do: "give_up_broker", fault: redirected, blame: "none" });
    this.#broker = "absent";
    this.#move("deciding");
    this.#put(DEADLINE.answer);
  }

  /** A client that already sent its FIN (CONNECT, PUBLISH, DISCONNECT in one go) still gets everything through. */
  #accepted(): void {
    if (this.state !== "awaiting_connack") return;
    this.#move("relaying");
    this.#put(OPEN);
    this.#put(DEADLINE.idle);
    if (this.#client === "peer_ended") this.#passEnd("client");
  }

  #ended(side: Side): void {
    if (side === "client") this.#client = this.#client === "we_ended" ? "both_ended" : "peer_ended";
    else this.#broker = this.#broker === "we_ended" ? "both_ended" : "peer_ended";
    if (this.state === "reading_connect") this.#finish("client_closed");
    else if (this.state === "awaiting_connack" && side === "broker") this.#attemptFailed(brokerClosedEarly);
    else if (this.state === "relaying") this.#passEnd(side);
    else if (this.state === "closing") this.#end(OTHER[side]);
  }

  /** One side said FIN: the other gets it after what is on its way; the opposite direction goes on for a bounded time. */
  #passEnd(side: Side): void {
    this.cause ??= side === "client" ? "client_closed" : "broker_closed";
    this.#move("closing");
    this.#put(DEADLINE.half_closed);
    this.#end(OTHER[side]);
  }

  #closed(side: Side, fault: Fault | undefined): void {
    if (side === "client") this.#client = "closed";
    else this.#broker = "closed";
    if (this.state === "closed") return;
    if (side === "broker" && this.state === "awaiting_connack") return this.#attemptFailed(fault ?? brokerClosedEarly);
    if (this.state === "dialing") this.#put(CANCEL_DIAL);
    this.cause ??= fault ?? (side === "client" ? "client_closed" : "broker_closed");
    if (isGone(this.#client) && isGone(this.#broker)) {
      this.#move("closed");
      this.#put(FINISHED);
    } else if (this.state === "closing") {
      // What the other side still says has nowhere to go; it must be read all the same, or its FIN is never seen.
      this.#put(DISCARD);
      this.#end(OTHER[side]);
    } else this.#finish(this.cause);
  }

  /** Passed on as it came: the broker has answered CONNECT, so a reset overtakes nothing, and nobody waits for its FIN. */
  #clientReset(fault: Fault): void {
    if (this.state !== "relaying") return this.#closed("client", fault);
    this.#client = "closed";
    this.cause ??= fault;
    this.#move("closing");
    this.#reset("broker");
  }

  #violated(fault: Fault): void {
    if (this.state === "closed") return;
    if (this.state === "relaying") {
      this.#put({ do: "disconnect_now", fault });
      this.#finish(fault);
    } else if (this.state === "closing") this.#endBoth();
    else this.#refuse(fault);
  }

  #deadline(): void {
    switch (this.state) {
      case "reading_connect": return this.#finish(connectTimeout);
      case "deciding": return this.#refuse(decisionTimeout);
      case "dialing":
        this.#put(CANCEL_DIAL);
        return this.#attemptFailed(dialTimeout);
      case "awaiting_connack": return this.#attemptFailed(answerTimeout);
      case "closing": return this.#resetBoth();
    }
  }

  /** MQTT 3.x has no words for it: those sessions may go on until the stop. */
  #drain(fault: Fault): void {
    if (this.state !== "relaying" || this.#version === 5) this.#leave(fault, "half_closed");
  }

  /** The packet that is on its way to the client has until the deadline; then both sides are reset. */
  #leave(fault: Fault, limit: "half_closed" | "linger"): void {
    if (this.state === "closing" || this.state === "closed") return;
    if (this.state === "reading_connect") return this.#finish(fault);
    if (this.state !== "relaying") return this.#refuse(fault);
    this.cause ??= fault;
    this.#move("closing");
    this.#put(DEADLINE[limit]);
    this.#put({ do: "disconnect_at_boundary", fault });
  }

  #stop(fault: Fault): void {
    if (this.state === "closed") return;
    if (this.state === "dialing") this.#put(CANCEL_DIAL);
    this.cause ??= fault;
    if (this.state !== "closing") this.#move("closing");
    this.#put(DEADLINE.linger);
    this.#resetBoth();
  }

  /** CONNACK with the fault's code where the version has one, then the close. */
  #refuse(fault: Fault): void {
    if (this.state === "dialing") this.#put(CANCEL_DIAL);
    if (this.#version !== undefined) this.#put({ do: "refuse", fault });
    this.#finish(fault);
  }

  /** Sluice itself ends the session: both sides get FIN after what waits, what they still send is read and dropped, for a short while. */
  #finish(cause: EndCause): void {
    if (this.state === "closed" || this.state === "closing") return;
    this.cause ??= cause;
    this.#move("closing");
    this.#endBoth();
  }

  #endBoth(): void {
    this.#put(DEADLINE.linger);
    this.#put(DISCARD);
    this.#end("client");
    this.#end("broker");
  }

  #end(side: Side): void {
    const channel = side === "client" ? this.#client : this.#broker;
    if (channel !== "open" && channel !== "peer_ended") return;
    const after = channel === "open" ? "we_ended" : "both_ended";
    if (side === "client") this.#client = after;
    else this.#broker = after;
    this.#put(END[side]);
  }

  #resetBoth(): void {
    this.#reset("client");
    this.#reset("broker");
  }

  #reset(side: Side): void {
    if (!isGone(side === "client" ? this.#client : this.#broker)) this.#put(RESET[side]);
  }
}

function isGone(channel: Channel): boolean {
  return channel === "absent" || channel === "closed";
}

const connectTimeout: Fault = { code: "connect_timeout", detail: "no whole CONNECT within the limit" };
const decisionTimeout: Fault = { code: "decision_timeout", detail: "whether and where the client may go was not known in time" };
const dialTimeout: Fault = { code: "broker_timeout", detail: "the broker could not be reached in time" };
const answerTimeout: Fault = { code: "broker_timeout", detail: "the broker did not answer CONNECT in time" };
const redirected: Fault = { code: "redirected", detail: "the broker sends the client to another one" };
const brokerClosedEarly: Fault = { code: "broker_lost", detail: "the broker closed before CONNACK" };
