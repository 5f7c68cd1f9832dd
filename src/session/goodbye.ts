import { disconnectPacket, type Fault, refusalPacket, type Version } from "../mqtt/fault.ts";
import { LAST_FRAME, sayGoodbye } from "./relay.ts";
import type { Session } from "./session.ts";

/** CONNACK with the code that the client's version has for it. */
export function refuse(session: Session, why: Fault): void {
  const packet = session.version === undefined ? undefined : refusalPacket(session.version, why.code);
  if (packet !== undefined) session.write("client", packet);
}

/** Only between two packets may one of ours stand; within one the close must speak for itself. */
export function disconnectNow(session: Session, why: Fault): void {
  const packet = disconnectPacket(session.version as Version, why.code);
  if (packet !== undefined && isAtBoundary(session)) session.write("client", packet);
}

/** Behind the packet that is on its way; MQTT 3.x has no word for it, and its session ends there all the same. */
export function disconnectAtBoundary(session: Session, why: Fault): void {
  const { downstream, collector } = session;
  if (downstream === undefined || collector !== undefined || !downstream.finished) session.goodbye = disconnectPacket(session.version as Version, why.code);
  if (downstream === undefined || collector !== undefined || downstream.bodyLeft === 0) sayGoodbye(session);
  else if (session.broker !== undefined) session.broker.handler = LAST_FRAME;
}

/** Behind the broker's own DISCONNECT nothing may come; one that is still being collected, the client has not seen. */
function isAtBoundary({ downstream, collector }: Session): boolean {
  return downstream === undefined || collector !== undefined || (downstream.bodyLeft === 0 && !downstream.finished);
}
