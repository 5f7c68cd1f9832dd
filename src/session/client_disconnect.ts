import { lastFrameAt } from "../mqtt/disconnect.ts";
import { boundExpiry } from "../mqtt/disconnect_expiry.ts";
import { FrameCollector } from "../mqtt/frame_collector.ts";
import type { FrameFollower } from "../mqtt/frame_follower.ts";
import type { Connection, ConnectionHandler } from "../runtime/types.ts";
import { DISCONNECT_SIZE_MAX, isDisconnect, RELAYING_CLIENT } from "./relay.ts";
import type { Session } from "./session.ts";
import { clientHandler } from "./sides.ts";

/*
 * A client of MQTT 5 may change in its DISCONNECT how long its MQTT session is kept (section 3.14.2.2.2). Where a pool limits that, or has to know
 * where the session is, that one packet is held until it is whole, and read.
 */

/** Of a session whose client's DISCONNECT is read. Nobody else has one. */
export interface ExpiryWatch {
  /** By its CONNECT, as the client sent it. */
  readonly askedSeconds: number;
  /** What its DISCONNECT made of it, as the broker was told; undefined: nothing, and what was agreed at CONNECT holds. */
  endSeconds: number | undefined;
  /** While the DISCONNECT comes. */
  collector: FrameCollector | undefined;
}

/** The handler of a client whose bytes the broker takes from now on; CONNECT is still known. */
export function relayingClient(session: Session): ConnectionHandler {
  if (session.version !== 5 || !caresForExpiry(session)) return RELAYING_CLIENT;
  session.expiryWatch = { askedSeconds: session.connect?.sessionExpirySeconds ?? 0, endSeconds: undefined, collector: undefined };
  return WATCHING_CLIENT;
}

function caresForExpiry({ pool }: Session): boolean {
  return pool.affinity !== undefined || pool.config.connect?.sessionExpiryMaxSeconds !== undefined;
}

/** What the client sent before its broker took anything, counted already: whole packets, but for the last one. */
export function passHeld(session: Session, bytes: Uint8Array): void {
  if (session.expiryWatch !== undefined && session.upstream?.finished) passLastFrame(session, bytes, 0);
  else session.write("broker", bytes);
}

/** RELAYING_CLIENT, but for the last packet. */
const WATCHING_CLIENT = clientHandler((session, chunk) => {
  session.heardAt = session.context.wheel.now;
  const upstream = session.upstream as FrameFollower;
  const bytes = upstream.join(chunk);
  const bodyLeft = upstream.bodyLeft;
  const count = upstream.follow(bytes);
  session.bytesUpstream += count;
  const released = count === bytes.length ? bytes : bytes.subarray(0, count);
  if (upstream.finished) passLastFrame(session, released, bodyLeft);
  else session.context.outbox.write(session.broker as Connection, released);
  if (upstream.fault !== undefined) session.step({ type: "violated", fault: upstream.fault });
});

/** The chunk in which the DISCONNECT begins: what comes before goes on, and the DISCONNECT when it is whole. */
function passLastFrame(session: Session, bytes: Uint8Array, bodyLeft: number): void {
  const start = lastFrameAt(bytes, bodyLeft);
  session.client.handler = COLLECTING_DISCONNECT;
  (session.expiryWatch as ExpiryWatch).collector = new FrameCollector(isDisconnect, DISCONNECT_SIZE_MAX);
  if (start > 0) session.write("broker", bytes.subarray(0, start));
  collectDisconnect(session, bytes.subarray(start));
}

const COLLECTING_DISCONNECT = clientHandler((session, chunk) => {
  session.heardAt = session.context.wheel.now;
  const upstream = session.upstream as FrameFollower;
  const bytes = upstream.join(chunk);
  const count = upstream.follow(bytes);
  session.bytesUpstream += count;
  collectDisconnect(session, bytes.subarray(0, count));
  if (upstream.fault !== undefined) session.step({ type: "violated", fault: upstream.fault });
});

/** One that is too long to be read does not pass: a few user properties more would be the way around the limit. */
function collectDisconnect(session: Session, bytes: Uint8Array): void {
  const watch = session.expiryWatch as ExpiryWatch;
  const collected = watch.collector?.push(bytes);
  if (collected === undefined) return;
  watch.collector = undefined;
  session.client.handler = RELAYING_CLIENT; // which lets nothing more pass behind it
  const { askedSeconds } = watch;
  const maxSeconds = session.pool.config.connect?.sessionExpiryMaxSeconds ?? Infinity;
  const disconnect = "code" in collected ? collected : boundExpiry(collected.frame, { askedSeconds, maxSeconds });
  if ("code" in disconnect) return session.step({ type: "violated", fault: disconnect });
  watch.endSeconds = disconnect.expirySeconds;
  session.write("broker", disconnect.frame);
}
