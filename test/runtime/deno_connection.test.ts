import { strict as assert } from "node:assert";
import { test } from "node:test";
import { DenoConnection, type DenoConn } from "../../src/runtime/deno_connection.ts";
import type { NetworkError } from "../../src/runtime/types.ts";
import { within } from "../support/deadline.ts";

/** A socket that its peer has reset before anyone looked at it: every call fails, as Deno's do. */
function resetConn(): DenoConn & { isClosed: boolean } {
  const reset = () => Object.assign(new Error("Connection reset by peer (os error 104)"), { name: "ConnectionReset" });
  const fail = (): never => {
    throw reset();
  };
  return {
    isClosed: false,
    remoteAddr: { hostname: "192.0.2.1", port: 1 },
    read: () => Promise.reject(reset()),
    write: () => Promise.reject(reset()),
    closeWrite: () => Promise.reject(reset()),
    close() {
      this.isClosed = true;
    },
    setNoDelay: fail,
    setKeepAlive: fail,
  };
}

test("a Deno socket that is reset already throws at nobody: it closes with the reason, its descriptor too", async () => {
  const conn = resetConn();
  const connection = new DenoConnection(conn);
  const closed = new Promise<NetworkError | undefined>((resolve) => {
    const unexpected = () => assert.fail("an event other than close");
    connection.handler = { data: unexpected, drain: unexpected, end: unexpected, close: (_, error) => resolve(error) };
  });
  connection.setKeepAlive();
  connection.start();
  assert.equal((await within(5_000, closed, "close"))?.code, "reset");
  assert.equal(conn.isClosed, true);
});
