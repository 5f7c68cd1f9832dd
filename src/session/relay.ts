import { frameLength, lastFrameAt } from "../mqtt/disconnect.ts";
import { fault } from "../mqtt/fault.ts";
import { FrameCollector } from "../mqtt/frame_collector.ts";
import type { FrameFollower } from "../mqtt/frame_follower.ts";
import type { Connection } from "../runtime/types.ts";
import type { Session } from "./session.ts";
import { brokerHandler, clientHandler } from "./sides.ts";

/** Of one that is read, from either side. */
export const DISCONNECT_SIZE_MAX = 65_536;

/**
 * The hot path: one read, one walk over the fixed headers, one write of the same bytes, together with those of other sessions. Nothing is
 * allocated unless a header was cut by the end of a chunk.
 */
export const RELAYING_CLIENT = clientHandler((session, chunk) => {
  session.heardAt = session.context.wheel.now;
  const upstream = session.upstream as FrameFollower;
  const bytes = upstream.join(chunk);
  const count = upstream.follow(bytes);
  session.bytesUpstream += count;
  session.context.outbox.write(session.broker as Connection, count === bytes.length ? bytes : bytes.subarray(0, count));
  if (upstream.fault !== undefined) session.step({ type: "violated", fault: upstream.fault });
});

export const RELAYING_BROKER = brokerHandler((session, chunk) => {
  const downstream = session.downstream as FrameFollower;
  const bytes = downstream.join(chunk);
  const count = downstream.follow(bytes);
  session.bytesDownstream += count;
  session.context.outbox.write(session.client, count === bytes.length ? bytes : bytes.subarray(0, count));
  if (downstream.fault !== undefined) session.step({ type: "violated", fault: fault("broker_malformed", downstream.fault.detail) });
});

/** The same where a DISCONNECT may send the client to another broker. */
export const WATCHING_BROKER = brokerHandler((session, chunk) => {
  const downstream = session.downstream as FrameFollower;
  const bytes = downstream.join(chunk);
  const bodyLeft = downstream.bodyLeft;
  const count = downstream.follow(bytes);
  if (downstream.finished) return passLastFrame(session, bytes.subarray(0, count), bodyLeft);
  session.bytesDownstream += count;
  session.context.outbox.write(session.client, count === bytes.length ? bytes : bytes.subarray(0, count));
  if (downstream.fault !== undefined) session.step({ type: "violated", fault: fault("broker_malformed", downstream.fault.detail) });
});

/** The chunk in which the broker's DISCONNECT begins: what comes before goes on, and the DISCONNECT when it is whole. */
function passLastFrame(session: Session, bytes: Uint8Array, bodyLeft: number): void {
  const start = lastFrameAt(bytes, bodyLeft);
  if (frameLength(bytes, start) > DISCONNECT_SIZE_MAX) return passThrough(session, bytes);
  if (start > 0) session.passDownstream(bytes.subarray(0, start));
  session.collector = new FrameCollector(isDisconnect, DISCONNECT_SIZE_MAX);
  (session.broker as Connection).handler = COLLECTING_DISCONNECT;
  collectDisconnect(session, bytes.subarray(start));
}

/** Too long for a DISCONNECT that anybody would read. */
function passThrough(session: Session, bytes: Uint8Array): void {
  (session.broker as Connection).handler = RELAYING_BROKER;
  session.passDownstream(bytes);
  judgeBroker(session);
}

const COLLECTING_DISCONNECT = brokerHandler((session, chunk) => {
  const downstream = session.downstream as FrameFollower;
  const bytes = downstream.join(chunk);
  collectDisconnect(session, bytes.subarray(0, downstream.follow(bytes)));
});

function collectDisconnect(session: Session, bytes: Uint8Array): void {
  const collected = session.collector?.push(bytes);
  if (collected !== undefined && "frame" in collected) {
    session.collector = undefined;
    (session.broker as Connection).handler = RELAYING_BROKER;
    session.passDownstream(session.context.redirects?.disconnected(session, collected.frame) ?? collected.frame);
  }
  judgeBroker(session);
}

function judgeBroker(session: Session): void {
  const why = session.downstream?.fault;
  if (why !== undefined) session.step({ type: "violated", fault: fault("broker_malformed", why.detail) });
}

/** For collecting one whose first byte was looked at already. */
export const isDisconnect = () => undefined;

/** The broker, while the rest of one packet is awaited behind which our own DISCONNECT shall stand. */
export const LAST_FRAME = brokerHandler((session, chunk) => {
  const downstream = session.downstream as FrameFollower;
  const bytes = chunk.subarray(0, downstream.bodyLeft);
  downstream.follow(bytes);
  session.passDownstream(bytes);
  if (downstream.bodyLeft === 0) sayGoodbye(session);
});

export function sayGoodbye(session: Session): void {
  if (session.goodbye !== undefined) session.write("client", session.goodbye);
  session.step({ type: "said_goodbye" });
}
