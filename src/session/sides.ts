import type { Connection, ConnectionHandler, NetworkError } from "../runtime/types.ts";
import type { Input } from "./machine.ts";
import type { Session } from "./session.ts";

/**
 * What a side does with its bytes is the handler it has at the moment; a state's work is one handler, so the relay never asks in
 * which state it is. Handlers are shared by all sessions: the session is the connection's owner.
 */
export type OnData = (session: Session, chunk: Uint8Array) => void;

const CLIENT_ENDED: Input = { type: "ended", side: "client" };
const BROKER_ENDED: Input = { type: "ended", side: "broker" };

export function clientHandler(onData: OnData): ConnectionHandler {
  return {
    data: (connection, chunk) => onData(connection.owner as Session, chunk),
    drain: (connection) => (connection.owner as Session).drained("client"),
    end: (connection) => (connection.owner as Session).step(CLIENT_ENDED),
    close: (connection, error) => (connection.owner as Session).closed("client", error),
  };
}

export function brokerHandler(onData: OnData): ConnectionHandler {
  return {
    data: (connection, chunk) => onData(connection.owner as Session, chunk),
    drain: (connection) => (connection.owner as Session).drained("broker"),
    end: (connection) => (connection.owner as Session).step(BROKER_ENDED),
    close: (connection: Connection, error: NetworkError | undefined) => (connection.owner as Session).closed("broker", error),
  };
}

const ignore = () => {};

/** For a connection that its session has given up. */
export const FORGOTTEN: ConnectionHandler = { data: ignore, drain: ignore, end: ignore, close: ignore };
/** For an ending session: bytes are read, so that the FIN behind them is seen, and dropped. */
export const DISCARDING_CLIENT = clientHandler(ignore);
export const DISCARDING_BROKER = brokerHandler(ignore);
