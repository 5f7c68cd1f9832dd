import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { proxyHeaderV1, proxyHeaderV2 } from "../../../src/transport/proxy_protocol/write.ts";
import { Child } from "../../support/child.ts";
import { until, within } from "../../support/deadline.ts";
import { bytes } from "../../support/mqtt_bytes.ts";
import { findProgram, needs } from "../../support/needs.ts";

const WHAT_IT_READ = "%[src] %[src_port] %[dst] %[dst_port] authority=%[fc_pp_authority] id=%[fc_pp_unique_id]";

/** HAProxy behind a unix socket, which answers HTTP with what it read in the PROXY header. */
function configuration(socket: string): string {
  return `
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend mirror
  bind unix@${socket} accept-proxy
  http-request return status 200 content-type text/plain lf-string "${WHAT_IT_READ}"
`;
}

/** Everything that comes back until the connection is closed. */
function ask(socket: string, header: Uint8Array): Promise<string> {
  const answer = new Promise<string>((resolve) => {
    let text = "";
    const connection = connect({ path: socket });
    connection.setEncoding("utf8");
    connection.on("data", (chunk: string) => (text += chunk));
    connection.on("error", () => {});
    connection.on("close", () => resolve(text));
    connection.write(bytes(header, "GET / HTTP/1.0\r\n\r\n"));
  });
  return within(5_000, answer, "HAProxy's answer");
}

const source = { address: "192.0.2.1", port: 50_000 };
const destination = { address: "198.51.100.2", port: 8_883 };
const source6 = { address: "2001:db8::1", port: 50_000 };
const tls = { version: "1.3", cipher: "TLS_AES_128_GCM_SHA256", verified: true, clientCommonName: "device 7" };

const CASES: readonly [what: string, header: Uint8Array, expected: RegExp][] = [
  ["version 1, IPv4", proxyHeaderV1({ source, destination }), /192\.0\.2\.1 50000 198\.51\.100\.2 8883 authority= id=$/],
  ["version 1, IPv6", proxyHeaderV1({ source: source6, destination: source6 }), /2001:db8::1 50000 2001:db8::1 50000/],
  ["version 1, both families", proxyHeaderV1({ source, destination: source6 }), /::ffff:192\.0\.2\.1 50000 2001:db8::1 50000/],
  [
    "version 2, IPv4 with every field",
    proxyHeaderV2({ source, destination, tls, authority: "a.example", alpn: "mqtt", uniqueId: bytes("id-1") }),
    /192\.0\.2\.1 50000 198\.51\.100\.2 8883 authority=a\.example id=id-1$/,
  ],
  [
    "version 2, IPv6",
    proxyHeaderV2({ source: source6, destination: source6, tls, authority: "b.example" }),
    /2001:db8::1 50000 2001:db8::1 50000 authority=b\.example id=$/,
  ],
  ["version 2, both families", proxyHeaderV2({ source: source6, destination }), /2001:db8::1 50000 ::ffff:198\.51\.100\.2 8883/],
  ["version 2, LOCAL", proxyHeaderV2({ source: undefined, destination }), /HTTP\/1\.[01] 200/],
];

test("HAProxy reads what is written, and checks its checksum", needs("haproxy"), async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "sluice-haproxy-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const socket = join(directory, "in");
  writeFileSync(join(directory, "haproxy.cfg"), configuration(socket));
  const haproxy = await Child.start([findProgram("haproxy") as string, "-db", "-f", join(directory, "haproxy.cfg")]);
  t.after(() => haproxy.kill());
  await until(async () => (await ask(socket, proxyHeaderV1({ source: undefined, destination: undefined }))) !== "", 10_000, "HAProxy's start");

  for (const [what, header, expected] of CASES) assert.match(await ask(socket, header), expected, what);

  const changed = proxyHeaderV2({ source, destination });
  changed[19] = (changed[19] as number) ^ 1;
  assert.equal(await ask(socket, changed), "", "a header with one bit changed was taken");
});
