import { type Connack, readConnack } from "../mqtt/connack.ts";
import { type Connect, readConnect, type RefusedConnect, withCredentials } from "../mqtt/connect.ts";
import { type Fault, fault, type Version } from "../mqtt/fault.ts";
import type { FrameCollector } from "../mqtt/frame_collector.ts";
import type { FrameFollower } from "../mqtt/frame_follower.ts";
import type { Broker } from "../pool/broker.ts";
import type { Session } from "./session.ts";
import { brokerHandler, clientHandler } from "./sides.ts";

const AUTH = 0xf0;

/** The client, until its CONNECT is whole. */
export const READING_CONNECT = clientHandler((session, chunk) => {
  const collected = (session.collector as FrameCollector).push(chunk);
  if (collected === undefined) return;
  if ("code" in collected) return session.step({ type: "turned_away", fault: collected, version: undefined });
  const connect = readConnect(collected.frame);
  if ("refused" in connect) return turnAway(session, connect);
  session.connectRead(connect);
  if (collected.rest.length > 0) session.client.handler.data(session.client, collected.rest);
});

/** A CONNECT that is not acceptable. */
function turnAway(session: Session, { refused, version }: RefusedConnect): void {
  session.version = version;
  session.step({ type: "turned_away", fault: refused, version });
}

/** The client, between CONNECT and CONNACK: what it sends already is checked, kept and sent on later ([MQTT-3.1.4-5] lets it). */
export const HOLDING = clientHandler((session, chunk) => {
  const upstream = session.upstream as FrameFollower;
  const bytes = upstream.join(chunk);
  session.hold(bytes.subarray(0, upstream.follow(bytes)));
  if (upstream.fault !== undefined) session.step({ type: "violated", fault: upstream.fault });
});

/** Where the client goes is found out by others: they answer later. */
export function awaitDecision(session: Session, chosen: Promise<readonly Broker[] | Fault>): void {
  chosen.then((late) => session.decided(late), (thrown: unknown) => {
    session.context.internalError(thrown);
    session.decided(fault("internal_error", "the decision failed"));
  });
}

/** To the broker that was dialed. */
export function sendConnect(session: Session): void {
  session.write("broker", connectAtBroker(session, session.chosen as Broker));
}

/** Of a session that is not open yet: what a rule has made of its CONNECT, or as it came. */
export function connectAtBrokers({ connect }: Session): Connect {
  return connect?.rewritten?.connect ?? (connect as Connect);
}

/** The same as one of them gets it: credentials in its URL win over the client's and over those of a rule. */
export function connectAtBroker(session: Session, { config }: Broker): Uint8Array {
  const connect = connectAtBrokers(session);
  const { username, password } = config;
  return username === undefined ? connect.frame : withCredentials(connect, username, password);
}

/** The broker, until its CONNACK is whole; AUTH may come before it in MQTT 5. */
export const AWAITING_CONNACK = brokerHandler((session, chunk) => {
  for (let bytes = chunk; bytes.length > 0; ) {
    const collected = session.collector?.push(bytes); // none: what the client had sent already has ended the session
    if (collected === undefined) return;
    if ("code" in collected) return session.attemptFailed(fault("broker_malformed", collected.detail));
    if (collected.frame[0] !== AUTH) return answered(session, collected.frame, collected.rest);
    passAuthentication(session, collected.frame);
    bytes = collected.rest;
  }
});

/** Enhanced authentication (MQTT 5 section 4.12): the exchange is the client's and this broker's alone from now on. */
function passAuthentication(session: Session, frame: Uint8Array): void {
  session.passDownstream(frame);
  session.step({ type: "committed" });
  session.releaseHeld();
}

function answered(session: Session, frame: Uint8Array, rest: Uint8Array): void {
  const connack = readConnack(frame, session.version as Version);
  if ("detail" in connack) return session.attemptFailed(connack);
  if (connack.code !== 0 && session.context.redirects?.refused(session, connack, frame)) return;
  const told = session.connect?.rewritten?.connack(frame) ?? frame;
  if ("code" in told) return session.step({ type: "violated", fault: told });
  session.passDownstream(told);
  if (connack.code !== 0) return session.brokerRefused(connack.code);
  // The session goes by what its client was told: [MQTT-3.2.2-21].
  session.startRelay(told === frame ? connack : (readConnack(told, session.version as Version) as Connack));
  if (rest.length > 0 && session.broker !== undefined) session.broker.handler.data(session.broker, rest);
}
