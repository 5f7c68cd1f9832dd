import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { connect, createServer, type TlsOptions, type ConnectionOptions } from "node:tls";
import { readCertificateFacts } from "../../../src/transport/certificates/facts.ts";
import { within } from "../../support/deadline.ts";
import { needs } from "../../support/needs.ts";
import { runToEnd, type TestScope } from "../../support/process.ts";
import * as made from "./made.ts";
import { folderFor } from "./openssl.ts";

/** A server of this runtime that wants a client certificate, and tells the DER of each that it took. */
async function startServer(t: TestScope, options: TlsOptions): Promise<{ port: number; seen: Promise<Uint8Array> }> {
  const server = createServer({ ...options, requestCert: true, rejectUnauthorized: true });
  const seen = new Promise<Uint8Array>((resolve) => {
    server.on("secureConnection", (socket) => {
      socket.on("error", () => {});
      resolve(new Uint8Array(socket.getPeerCertificate().raw));
      socket.end("welcome");
    });
  });
  await new Promise<void>((ready) => server.listen({ host: "127.0.0.1", port: 0 }, ready));
  t.after(() => void server.close());
  return { port: (server.address() as AddressInfo).port, seen };
}

/** Whether the server bade welcome; otherwise rejects, with the handshake's error or without: in TLS 1.3 a client is refused after its end. */
function ask(options: ConnectionOptions): Promise<void> {
  const heard = new Promise<void>((resolve, reject) => {
    let said = "";
    const socket = connect(options);
    socket.on("data", (chunk: Uint8Array) => (said += String(chunk)));
    socket.on("end", () => (said === "welcome" ? resolve() : reject(new Error(`ended after "${said}"`))));
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`closed after "${said}"`)));
  });
  return within(10_000, heard, "the server's word");
}

const ca = await made.authority();
const server = await made.server(ca, ["gateway.local", "127.0.0.1", "::1"]);
const client = await made.client(ca, "sensor-1", ["sensor-1.local"]);

describe("certificates that are made here, in handshakes of this runtime", () => {
  test("a server with one takes a client with one, and knows who it is", async (t) => {
    const { port, seen } = await startServer(t, { ...server, ca: ca.cert });
    for (const servername of ["gateway.local", undefined]) {
      await ask({ host: "127.0.0.1", port, ca: ca.cert, ...client, ...(servername && { servername }) });
    }
    const facts = readCertificateFacts(await seen);
    assert.deepEqual([facts?.commonName, facts?.names.dns], ["sensor-1", ["sensor-1.local"]]);
  });

  test("a client takes no server for another name, of another authority, or that shows a client's certificate", async (t) => {
    const { port } = await startServer(t, { ...server, ca: ca.cert });
    const other = await made.authority();
    const to = { host: "127.0.0.1", port, ...client };
    await assert.rejects(ask({ ...to, ca: ca.cert, servername: "other.local" }));
    await assert.rejects(ask({ ...to, ca: other.cert }));
    const wrong = await startServer(t, { ...client, ca: ca.cert });
    await assert.rejects(ask({ ...to, port: wrong.port, ca: ca.cert, servername: "sensor-1.local" }));
  });

  test("a server takes no client without one, of another authority, or that shows a server's certificate", async (t) => {
    const { port } = await startServer(t, { ...server, ca: ca.cert });
    const to = { host: "127.0.0.1", port, ca: ca.cert };
    const stranger = await made.client(await made.authority(), "sensor-1");
    for (const shown of [{}, stranger, server]) await assert.rejects(ask({ ...to, ...shown }));
    await ask({ ...to, ...client });
  });

  test("openssl's client and this runtime's server, with strict verification", needs("openssl"), async (t) => {
    const { port } = await startServer(t, { ...server, ca: ca.cert });
    const at = folderFor(t, { "ca.pem": ca.cert, "client.pem": client.cert, "client.key": client.key });
    const words = ["-connect", `127.0.0.1:${port}`, "-CAfile", at("ca.pem"), "-cert", at("client.pem"), "-key", at("client.key")];
    const ran = await runToEnd(["openssl", "s_client", ...words, "-x509_strict", "-verify_return_error", "-verify_ip", "127.0.0.1", "-ign_eof"]);
    assert.match(ran.stdout, /Verify return code: 0 \(ok\)/, ran.stderr);
    assert.match(ran.stdout, /welcome/, ran.stderr);
  });
});
