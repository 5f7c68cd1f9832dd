import { internalError, reportInternalError } from "./network_error.ts";
import type { AcceptHandler, Connection, DialHandler, NetworkError, SecureHandler, TlsFacts } from "./types.ts";

/*
 * Calls to the layers above. A throw of theirs is a mistake of ours: it costs the one connection, or, where there is none,
 * becomes a line on stderr.
 */

type Failing = Connection & { fail(fault: NetworkError): void };

export function admitted(handler: AcceptHandler): boolean {
  try {
    return handler.admit();
  } catch (thrown) {
    reportInternalError(thrown);
    return false;
  }
}

export function accept(handler: AcceptHandler, connection: Failing): void {
  try {
    handler.accept(connection);
  } catch (thrown) {
    connection.fail(internalError(thrown));
  }
}

export function opened(handler: DialHandler, connection: Failing): void {
  try {
    handler.opened(connection);
  } catch (thrown) {
    connection.fail(internalError(thrown));
  }
}

export function secured(handler: SecureHandler, connection: Failing, facts: TlsFacts): void {
  try {
    handler.secured(connection, facts);
  } catch (thrown) {
    connection.fail(internalError(thrown));
  }
}

export function failed(handler: DialHandler | SecureHandler, error: NetworkError): void {
  try {
    handler.failed(error);
  } catch (thrown) {
    reportInternalError(thrown);
  }
}

/** A connection that nobody took has nobody to tell but stderr. */
export function closed(connection: Connection, error: NetworkError | undefined): void {
  try {
    if (connection.handler !== undefined) connection.handler.close(connection, error);
    else if (error?.code === "internal") reportInternalError(error.message);
  } catch (thrown) {
    reportInternalError(thrown);
  }
}
