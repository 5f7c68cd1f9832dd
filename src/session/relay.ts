import { fault } from "../mqtt/fault.ts";
import type { FrameFollower } from "../mqtt/frame_follower.ts";
import type { Connection } from "../runtime/types.ts";
import { brokerHandler, clientHandler } from "./sides.ts";

/**
 * The hot path: one read, one walk over the fixed headers, one write of the same bytes. Nothing is allocated unless a header was cut by
 * the end of a chunk.
 */
export const RELAYING_CLIENT = clientHandler((session, chunk) => {
  session.heardAt = session.context.wheel.now;
  const up = session.up as FrameFollower;
  const bytes = up.join(chunk);
  const count = up.follow(bytes);
  session.bytesUp += count;
  if (!(session.broker as Connection).write(count === bytes.length ? bytes : bytes.subarray(0, count))) session.stalled("broker");
  if (up.fault !== undefined) session.step({ type: "violated", fault: up.fault });
});

export const RELAYING_BROKER = brokerHandler((session, chunk) => {
  const down = session.down as FrameFollower;
  const bytes = down.join(chunk);
  const count = down.follow(bytes);
  session.bytesDown += count;
  if (!session.client.write(count === bytes.length ? bytes : bytes.subarray(0, count))) session.stalled("client");
  if (down.fault !== undefined) session.step({ type: "violated", fault: fault("broker_malformed", down.fault.detail) });
});

/** The broker, while the rest of one packet is awaited behind which our own DISCONNECT shall stand. */
export const LAST_FRAME = brokerHandler((session, chunk) => {
  const down = session.down as FrameFollower;
  const bytes = chunk.subarray(0, down.bodyLeft);
  down.follow(bytes);
  session.passDown(bytes);
  if (down.bodyLeft === 0) session.sayGoodbye();
});
