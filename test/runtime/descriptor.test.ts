import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { connect, type NetConnectOpts } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { runtime as native } from "#runtime";
import { runtime as net } from "../../src/runtime/net.ts";
import type { NetworkError } from "../../src/runtime/types.ts";
import { within } from "../support/deadline.ts";

const adapters = { native, net } as const;
const HANDED_OVER = 3;

/** What systemd does: listens, starts a process that has the listening socket as its descriptor 3, and leaves the accepting to it. */
const MANAGER = `
  const [where, ...command] = process.argv.slice(1);
  const server = require("node:net").createServer();
  server.listen(where === "tcp" ? { host: "127.0.0.1", port: 0 } : { path: where }, () => {
    const stdio = ["ignore", "inherit", "inherit", server._handle.fd];
    const child = require("node:child_process").spawn(command[0], command.slice(1), { stdio });
    require("node:fs").writeSync(1, JSON.stringify({ address: server.address(), child: child.pid }) + "\\n");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });`;

const served = process.env["SLUICE_TEST_SERVE"] as keyof typeof adapters | undefined;
if (served !== undefined) await serve(served);
else {
  for (const [name, adapter] of Object.entries(adapters)) {
    test(`descriptor: a TCP listener that was handed over is listened on (${name})`, () => handedOver(name, "tcp"));
    test(`descriptor: a unix listener that was handed over is listened on, and its file stays (${name})`, async () => {
      const folder = mkdtempSync(join(tmpdir(), "sluice-"));
      const path = join(folder, "socket");
      try {
        await handedOver(name, path);
        assert.ok(existsSync(path));
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
    test(`descriptor: what is no listening socket is refused and named (${name})`, async () => {
      const file = openSync(fileURLToPath(import.meta.url), "r");
      for (const descriptor of [file, 987]) {
        const error = await adapter.listen({ port: 0, descriptor }, { admit: () => false, accept() {} })
          .then(() => assert.fail("listening"), (thrown: NetworkError) => thrown);
        assert.equal(error.message, `listen on descriptor ${descriptor}: it is not a listening socket`);
      }
      closeSync(file);
    });
  }
}

/** This very file in the part of the process that is started: echoes one connection, says who it was, and closes. */
async function serve(name: keyof typeof adapters): Promise<void> {
  const listener = await adapters[name].listen({ port: 0, descriptor: HANDED_OVER }, {
    admit: () => true,
    accept(connection) {
      connection.handler = {
        data: (it, chunk) => void it.write(chunk),
        drain() {},
        end: (it) => it.end(),
        close: () => void listener.close().then(() => console.log("closed")),
      };
      console.log(JSON.stringify({ port: listener.port, peer: connection.remoteAddress }));
    },
  });
}

async function handedOver(name: string, where: string): Promise<void> {
  const { bun, deno } = process.versions as Record<string, string | undefined>;
  const words = deno ? ["run", "-A", "--no-check"] : bun ? ["run"] : [];
  const command = [process.execPath, ...words, fileURLToPath(import.meta.url)];
  const manager = spawn("node", ["-e", MANAGER, where, ...command], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, SLUICE_TEST_SERVE: name, NODE_TEST_CONTEXT: "" },
  });
  let child: number | undefined;
  try {
    const lines = linesOf(manager.stdout);
    const started = JSON.parse(await within(20_000, lines.next(), "the manager")) as { address: { port: number } | string; child: number };
    child = started.child;
    const { address } = started;
    const place: NetConnectOpts = typeof address === "string" ? { path: address } : { port: address.port, host: "127.0.0.1" };
    const echoed = within(20_000, echo(place), "the echo");
    const seen = JSON.parse(await within(20_000, lines.next(), "the served connection")) as object;
    assert.equal(await echoed, "hello");
    assert.deepEqual(seen, typeof address === "string" ? { port: 0, peer: "unix" } : { port: address.port, peer: "127.0.0.1" });
    assert.equal(await within(20_000, lines.next(), "the listener's end"), "closed");
  } finally {
    manager.kill("SIGKILL");
    if (child !== undefined) end(child);
  }
}

/** It has ended by itself, when nothing keeps it. */
function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has.
  }
}

/** The kernel takes the connection, whoever accepts it later. */
function echo(place: NetConnectOpts): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = "";
    const socket = connect(place, () => socket.end("hello"));
    socket.on("data", (chunk) => (heard += chunk.toString()));
    socket.once("error", reject);
    socket.once("close", () => resolve(heard));
  });
}

function linesOf(stream: NodeJS.ReadableStream): { next(): Promise<string> } {
  let text = "";
  let wake = (): void => {};
  stream.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    wake();
  });
  return {
    async next() {
      while (!text.includes("\n")) await new Promise<void>((resolve) => (wake = resolve));
      const end = text.indexOf("\n");
      const line = text.slice(0, end);
      text = text.slice(end + 1);
      return line;
    },
  };
}
