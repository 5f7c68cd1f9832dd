import type { Connect } from "./connect.ts";
import { type ConnectLayout, endOfField, endOfProperty, hasPassword, layoutOf, PASSWORD, SESSION_EXPIRY, textAt, USER_PROPERTY, USERNAME } from "./connect_layout.ts";
import { type Fault, fault } from "./fault.ts";
import { Splice, uint32Property, variableIntegerBytes, variableIntegerLength, writeUint16 } from "./rewrite_splice.ts";

const USER_PROPERTY_MARK = Uint8Array.of(USER_PROPERTY);

/** What is to be different in a CONNECT; absent: as it is. */
export interface ConnectChanges {
  readonly clientId?: string | undefined;
  /** null removes it; in 3.x the password goes with it, because it may not stand alone there ([MQTT-3.1.2-22] of 3.1.1). */
  readonly username?: string | null | undefined;
  readonly password?: Uint8Array | null | undefined;
  /** 0 to 65,535; 0: none. */
  readonly keepAliveSeconds?: number | undefined;
  /** 0 to 4,294,967,295; the last stands for ever. Not in 3.x. */
  readonly sessionExpirySeconds?: number | undefined;
  /** Where there is a will; a will is never made or removed. */
  readonly willTopic?: string | undefined;
  /** Added behind the client's, whose own of the same names are removed: what they say is ours to say. Not in 3.x, and not in the will. */
  readonly userProperties?: readonly (readonly [name: string, value: string])[] | undefined;
}

export function isUnchanged({ clientId, username, password, keepAliveSeconds, sessionExpirySeconds, willTopic, userProperties }: ConnectChanges): boolean {
  return (clientId ?? keepAliveSeconds ?? sessionExpirySeconds ?? willTopic ?? userProperties) === undefined && username === undefined && password === undefined;
}

/**
 * The CONNECT with these changes. Every other byte stays as it was, in its order: other properties, the will, flags, the mark of a
 * bridge, the protocol's name. Lengths are written anew, in their shortest form. Refused is what would be no legal CONNECT, or larger
 * than `sizeMax` bytes with its header; values that mean something to the broker are judged where they are made (policy/template.ts).
 */
export function rewriteConnect(connect: Connect, changes: ConnectChanges, { sizeMax }: { readonly sizeMax: number }): Uint8Array | Fault {
  const layout = layoutOf(connect);
  const splice = new Splice(connect.frame, layout.bodyAt);
  const { clientId, willTopic, keepAliveSeconds } = changes;
  const asksForProperties = changes.userProperties !== undefined || changes.sessionExpirySeconds !== undefined;
  if (asksForProperties && connect.version === 5) rewriteProperties(splice, connect.frame, layout, changes);
  if (clientId !== undefined) rewriteClientId(splice, connect, layout, clientId);
  if (willTopic !== undefined && layout.willTopicAt !== undefined) rewriteWillTopic(splice, connect.frame, layout.willTopicAt, willTopic);
  const flags = rewriteCredentials(splice, connect, layout, changes);
  judgeSeconds(splice, keepAliveSeconds, 0xffff, "keep-alive");
  const frame = splice.frame(sizeMax, "CONNECT");
  if ("code" in frame) return frame;
  const flagsAt = 1 + variableIntegerLength(splice.length) + connect.flagsAt - layout.bodyAt;
  frame[flagsAt] = flags;
  if (keepAliveSeconds !== undefined) writeUint16(frame, flagsAt + 1, keepAliveSeconds);
  return frame;
}

function judgeSeconds(splice: Splice, seconds: number | undefined, secondsMax: number, what: string): void {
  if (seconds === undefined || (Number.isInteger(seconds) && seconds >= 0 && seconds <= secondsMax)) return;
  splice.fail(fault("internal_error", `a ${what} to be written of ${seconds} seconds`));
}

/** Session Expiry stays where it is, or comes behind what is there; our user properties come last. */
function rewriteProperties(splice: Splice, frame: Uint8Array, layout: ConnectLayout, changes: ConnectChanges): void {
  const { userProperties = [], sessionExpirySeconds } = changes;
  judgeSeconds(splice, sessionExpirySeconds, 0xffff_ffff, "session expiry");
  const names = userProperties.map(([name]) => name);
  let expiry = sessionExpirySeconds === undefined ? undefined : uint32Property(SESSION_EXPIRY, sessionExpirySeconds);
  const block = new Splice(frame, layout.propertiesAt);
  for (let at = layout.propertiesAt, end = at; at < layout.clientIdAt; at = end) {
    end = endOfProperty(frame, at);
    if (frame[at] === USER_PROPERTY && names.length > 0 && names.includes(textAt(frame, at + 1))) block.cut(at, end);
    if (frame[at] !== SESSION_EXPIRY || expiry === undefined) continue;
    block.replace(at, end, expiry);
    expiry = undefined;
  }
  block.cut(layout.clientIdAt, layout.clientIdAt);
  if (expiry !== undefined) block.add(expiry);
  for (const [name, value] of userProperties) {
    block.add(USER_PROPERTY_MARK);
    block.addText(name, "name of a user property");
    block.addText(value, "value of a user property");
  }
  splice.replace(layout.propertyLengthAt, layout.clientIdAt, variableIntegerBytes(block.length));
  splice.addAll(block);
}

function rewriteClientId(splice: Splice, { version, cleanStart }: Connect, { clientIdAt, willAt }: ConnectLayout, clientId: string): void {
  if (clientId === "" && (version === 3 || (version === 4 && !cleanStart))) {
    splice.fail(fault("client_id_rejected", "the rewritten client identifier is empty, which is not allowed here")); // as in readConnect
  }
  splice.cut(clientIdAt, willAt);
  splice.addText(clientId, "client identifier");
}

function rewriteWillTopic(splice: Splice, frame: Uint8Array, willTopicAt: number, willTopic: string): void {
  if (willTopic === "" || /[#+]/.test(willTopic)) {
    splice.fail(fault("internal_error", "a will topic to be written that is empty or has wildcards")); // [MQTT-4.7.1-1], [MQTT-4.7.3-1]
  }
  splice.cut(willTopicAt, endOfField(frame, willTopicAt));
  splice.addText(willTopic, "will topic");
}

/** Answers the connect flags that go with them. */
function rewriteCredentials(splice: Splice, connect: Connect, layout: ConnectLayout, { username, password }: ConnectChanges): number {
  const { frame, version } = connect;
  const flags = frame[connect.flagsAt] as number;
  const isNamed = username === undefined ? (flags & USERNAME) !== 0 : username !== null;
  const maySpeak = isNamed || version === 5; // a password alone: MQTT 5 section 3.1.2.9
  if (!maySpeak && password) splice.fail(fault("internal_error", "a password to be written without a user name"));
  const isKept = password === undefined && hasPassword(connect) && maySpeak;
  if (username !== undefined) splice.cut(layout.usernameAt, layout.passwordAt);
  if (typeof username === "string") splice.addText(username, "user name");
  if (!isKept) splice.cut(layout.passwordAt, frame.length);
  if (password) splice.addBinary(password, "password");
  return (flags & ~(USERNAME | PASSWORD)) | (isNamed ? USERNAME : 0) | (isKept || password ? PASSWORD : 0);
}
