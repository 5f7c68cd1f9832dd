import { type Connack, readConnack } from "../mqtt/connack.ts";
import { type Connect, readConnect, withCredentials } from "../mqtt/connect.ts";
import { fault, type Version } from "../mqtt/fault.ts";
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
  if ("refused" in connect) return session.turnedAway(connect);
  session.connectRead(connect);
  if (collected.rest.length > 0) session.client.handler.data(session.client, collected.rest);
});

/** The client, between CONNECT and CONNACK: what it sends already is checked, kept and sent on later ([MQTT-3.1.4-5] lets it). */
export const HOLDING = clientHandler((session, chunk) => {
  const upstream = session.upstream as FrameFollower;
  const bytes = upstream.join(chunk);
  session.hold(bytes.subarray(0, upstream.follow(bytes)));
  if (upstream.fault !== undefined) session.step({ type: "violated", fault: upstream.fault });
});

/** To the broker that was dialed: what a rule has made of it, or as it came. Credentials in the broker's URL win over both. */
export function sendConnect(session: Session): void {
  const connect = session.connect?.rewritten?.connect ?? (session.connect as Connect);
  const { username, password } = (session.chosen as Broker).config;
  session.write("broker", username === undefined ? connect.frame : withCredentials(connect, username, password));
}

/** The broker, until its CONNACK is whole; AUTH may come before it in MQTT 5. */
export const AWAITING_CONNACK = brokerHandler((session, chunk) => {
  for (let bytes = chunk; bytes.length > 0; ) {
    const collected = (session.collector as FrameCollector).push(bytes);
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
  const told = session.connect?.rewritten?.connack(frame) ?? frame;
  if ("code" in told) return session.step({ type: "violated", fault: told });
  session.passDownstream(told);
  if (connack.code !== 0) return session.brokerRefused(connack.code);
  // The session goes by what its client was told: [MQTT-3.2.2-21].
  session.startRelay(told === frame ? connack : (readConnack(told, session.version as Version) as Connack));
  if (rest.length > 0 && session.broker !== undefined) session.broker.handler.data(session.broker, rest);
}
