import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { NetworkError } from "../../src/runtime/types.ts";
import { type Case, Door, End, type Lab, listen, opened, pattern, refused } from "./lab.ts";

/** TLS begun by hand. */
export const secureUnixCases: readonly Case[] = [
  {
    name: "unix: TLS over it, with the address of the connection below",
    run: (lab) =>
      inFolder(async (path) => {
        const door = new Door();
        const listener = await listen(lab, door, { path });
        const client = await opened(dialPath(lab, path));
        const server = await door.accepted(0);
        for (const { connection } of [client, server]) assert.deepEqual([connection.remoteAddress, connection.remotePort], ["unix", 0]);
        client.connection.write(pattern(100_000));
        client.connection.end();
        await server.until("the end", ({ received, ended }) => received === 100_000 && ended);
        server.connection.end();
        await Promise.all([client.untilClosed(), server.untilClosed()]);
        await listener.close();
      }),
  },
];

/** Plain only. */
export const unixCases: readonly Case[] = [
  {
    name: "unix: both sides talk, are at \"unix\" and port 0, and the file is gone with the listener",
    run: (lab) =>
      inFolder(async (path) => {
        const door = new Door();
        const listener = await listen(lab, door, { path });
        assert.equal(listener.port, 0);
        const client = await opened(dialPath(lab, path));
        const server = await door.accepted(0);
        for (const { connection } of [client, server]) assert.deepEqual([connection.remoteAddress, connection.remotePort], ["unix", 0]);
        client.connection.setKeepAlive(1000);
        client.connection.write(pattern(100_000));
        await server.until("data", ({ received }) => received === 100_000);
        server.connection.write(pattern(10));
        await client.until("the answer", ({ received }) => received === 10);
        client.connection.end();
        await server.until("end", ({ ended }) => ended);
        await listener.close();
        assert.equal(existsSync(path), false);
        server.connection.end();
        await Promise.all([client.untilClosed(), server.untilClosed()]);
        assert.deepEqual([client.error, server.error], [undefined, undefined]);
      }),
  },
  {
    name: "unix: that nothing is there is told later than connect returns",
    run: (lab) =>
      inFolder(async (path) => {
        let hasReturned = false;
        const error = await new Promise<NetworkError>((resolve) => {
          lab.runtime.connect({ host: "", port: 0, path }, {
            opened: () => {},
            failed: (why) => resolve(hasReturned ? why : { code: "other", message: "told too early" }),
          });
          hasReturned = true;
        });
        assert.deepEqual(error, { code: error.code, message: `connect to unix:${path}: no such file or directory` });
      }),
  },
  {
    name: "unix: reset closes both sides",
    run: (lab) =>
      inFolder(async (path) => {
        const door = new Door();
        const listener = await listen(lab, door, { path });
        for (const [index, side] of ["client", "server"].entries()) {
          const client = await opened(dialPath(lab, path));
          const server = await door.accepted(index);
          const [resetting, other] = side === "client" ? [client, server] : [server, client];
          resetting.connection.reset();
          await other.until("end or close", ({ ended, closed }) => ended || closed);
          other.connection.reset();
          await Promise.all([client.untilClosed(), server.untilClosed()]);
          assert.equal(resetting.error, undefined);
        }
        await listener.close();
      }),
  },
  {
    name: "unix: the file has the mode that was asked for, from whatever umask",
    run: (lab) =>
      inFolder(async (path) => {
        const before = process.umask(0o027);
        try {
          for (const mode of [0o666, 0o660, 0o600]) {
            const listener = await listen(lab, new Door(), { path, mode });
            assert.equal(lstatSync(path).mode & 0o777, mode);
            assert.equal(process.umask(), 0o027);
            await listener.close();
          }
          const listener = await listen(lab, new Door(), { path });
          assert.equal(lstatSync(path).mode & 0o777, 0o750);
          await listener.close();
        } finally {
          process.umask(before);
        }
      }),
  },
  {
    name: "unix: a socket that nobody listens behind any more is replaced",
    run: (lab) =>
      inFolder(async (path) => {
        await staleSocket(path);
        const stale = await refused(dialPath(lab, path));
        assert.equal(stale.code, "refused");
        assert.equal(stale.message, `connect to unix:${path}: connection refused`);
        const door = new Door();
        const listener = await listen(lab, door, { path });
        const client = await opened(dialPath(lab, path));
        client.connection.reset();
        (await door.accepted(0)).connection.reset();
        await listener.close();
      }),
  },
  {
    name: "unix: a socket that somebody listens behind is left to them",
    run: (lab) =>
      inFolder(async (path) => {
        const door = new Door();
        const first = await listen(lab, door, { path });
        const error = await cannotListen(lab, path);
        assert.deepEqual(error, { code: "address_in_use", message: `listen on unix:${path}: the address is already in use` });
        const client = await opened(dialPath(lab, path));
        client.connection.reset();
        for (const end of door.ends) end.connection.reset();
        await first.close();
      }),
  },
  {
    name: "unix: a file that is no socket is never removed",
    run: (lab) =>
      inFolder(async (path) => {
        writeFileSync(path, "precious");
        const error = await cannotListen(lab, path);
        assert.deepEqual(error, { code: "address_in_use", message: `listen on unix:${path}: there is a file that is not a socket` });
        assert.equal(lstatSync(path).size, "precious".length);
      }),
  },
  {
    name: "unix: no folder, no permission and a path that is too long are said",
    run: (lab) =>
      inFolder(async (path) => {
        const missing = await cannotListen(lab, join(path, "deeper"));
        assert.match(missing.message, /^listen on unix:.*\/deeper: (no such file or directory|permission denied)$/);
        const long = await cannotListen(lab, path + "x".repeat(200));
        assert.match(long.message, /a unix socket has at most \d+ bytes$/);
        assert.equal(existsSync((path + "x".repeat(200)).slice(0, 107)), false);
        const nobody = await refused(dialPath(lab, path));
        assert.deepEqual(nobody, { code: "refused", message: `connect to unix:${path}: no such file or directory` });
        if (process.getuid?.() === 0) return; // whom nothing is forbidden
        const folder = join(path, "..");
        chmodSync(folder, 0o500);
        assert.equal((await cannotListen(lab, path)).code, "denied");
        chmodSync(folder, 0o700);
      }),
  },
];

/** Runs with a path in a folder of its own, at which there is nothing yet. */
async function inFolder(use: (path: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "sluice-"));
  try {
    await use(join(folder, "socket"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function dialPath(lab: Lab, path: string): Promise<End | NetworkError> {
  const end = new End();
  return new Promise((resolve) => {
    lab.runtime.connect({ host: "unused", port: 1, path }, {
      opened: (connection) => resolve(end.attach(connection)),
      failed: resolve,
    });
  });
}

function cannotListen(lab: Lab, path: string): Promise<NetworkError> {
  return listen(lab, new Door(), { path }).then(() => assert.fail("listening"), (error: NetworkError) => error);
}

/** What a process leaves behind that is killed while it listens. */
function staleSocket(path: string): Promise<void> {
  const script = 'require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
  return new Promise((resolve, reject) => {
    const child = spawn("node", ["-e", script, path], { stdio: "ignore" });
    child.once("error", reject);
    child.once("exit", () => resolve());
  });
}
