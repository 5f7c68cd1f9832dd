import { fault } from "../mqtt/fault.ts";
import type { FrameFollower } from "../mqtt/frame_follower.ts";
import type { Connection } from "../runtime/types.ts";
import type { Session } from "./session.ts";
import { brokerHandler, clientHandler } from "./sides.ts";

/**
 * The hot path: one read, one walk over the fixed headers, one write of the same bytes. Nothing is allocated unless a header was cut by
 * the end of a chunk.
 */
export const RELAYING_CLIENT = clientHandler((session, chunk) => {
  session.heardAt = session.context.wheel.now;
  const upstream = session.upstream as FrameFollower;
  const bytes = upstream.join(chunk);
  const count = upstream.follow(bytes);
  session.bytesUpstream += count;
  if (!(session.broker as Connection).write(count === bytes.length ? bytes : bytes.subarray(0, count))) session.stalled("broker");
  if (upstream.fault !== undefined) session.step({ type: "violated", fault: upstream.fault });
});

export const RELAYING_BROKER = brokerHandler((session, chunk) => {
  const downstream = session.downstream as FrameFollower;
  const bytes = downstream.join(chunk);
  const count = downstream.follow(bytes);
  session.bytesDownstream += count;
  if (!session.client.write(count === bytes.length ? bytes : bytes.subarray(0, count))) session.stalled("client");
  if (downstream.fault !== undefined) session.step({ type: "violated", fault: fault("broker_malformed", downstream.fault.detail) });
});

/** The broker, while the rest of one packet is awaited behind which our own DISCONNECT shall stand. */
export const LAST_FRAME = brokerHandler((session, chunk) => {
  const downstream = session.downstream as FrameFollower;
  const bytes = chunk.subarray(0, downstream.bodyLeft);
  downstream.follow(bytes);
  session.passDownstream(bytes);
  if (downstream.bodyLeft === 0) sayGoodbye(session);
});

export function sayGoodbye(session: Session): void {
  if (session.goodbye !== undefined) session.client.write(session.goodbye);
  session.step({ type: "said_goodbye" });
}
