import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { startHaproxy } from "../support/haproxy.ts";
import * as m from "../support/mqtt_bytes.ts";
import { needs, startMosquitto, type Mosquitto } from "../support/mosquitto.ts";
import type { TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { onEachArtefact, startFront, writeTemporary, type Front } from "./front.ts";
import { publish, received, subscribe } from "./mosquitto_clients.ts";

const NEEDS = needs("mosquitto", "mosquitto_pub", "mosquitto_sub", "haproxy");
const fixture = (name: string): string => resolve("test/fixtures/tls", name);
/** Whole 127.0.0.0/8 is this host, so that clients can be told from the programs between. */
const DEVICE = "127.0.0.77";

async function startBroker(t: TestScope): Promise<Mosquitto> {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  return broker;
}

/** A front that believes the PROXY headers of this host. */
async function startBehindProxy(t: TestScope, artefact: readonly string[]): Promise<Front & { broker: Mosquitto }> {
  const broker = await startBroker(t);
  const words = ["--trust-proxy", "127.0.0.1", `mqtt://127.0.0.1:${broker.port}`];
  return { ...(await startFront(t, artefact, { words })), broker };
}

const WITHOUT_TLS = { "version 1": "send-proxy", "version 2": "send-proxy-v2", "version 2 with a checksum": "send-proxy-v2 proxy-v2-options crc32c" };

onEachArtefact("behind HAProxy the log has the client's own address, by PROXY version 1 and 2", NEEDS, async (t, artefact) => {
  const { sluice, port, broker } = await startBehindProxy(t, artefact);
  for (const [index, sends] of Object.values(WITHOUT_TLS).entries()) {
    const haproxy = await startHaproxy(t, { server: `127.0.0.1:${port} ${sends}` });
    const target = { port: haproxy.port, words: ["-A", DEVICE] };
    const child = await subscribe(t, broker, target, { id: `sub-${index}`, filters: ["A"], qos: 1, count: 1 });
    await publish(target, ["-i", `pub-${index}`, "-t", "A", "-q", "1", "-m", sends]);
    assert.deepEqual(await received(child), [`A 1 0 ${sends}`]);
    const line = await sluice.waitForEvent("client.open", (one) => one["client.id"] === `sub-${index}`);
    assert.deepEqual([line["client.address"], line["proxy.address"], line["tls.version"]], [DEVICE, "127.0.0.1", undefined]);
    const [, clientPort] = await haproxy.waitForLine(new RegExp(`^${DEVICE} (${String(line["client.port"])})$`));
    assert.equal(Number(clientPort), line["client.port"]);
  }
});

onEachArtefact("behind HAProxy that does TLS the log has the client's certificate, version, server name and ALPN", NEEDS, async (t, artefact) => {
  const { sluice, port, broker } = await startBehindProxy(t, artefact);
  const pem = writeTemporary(t, { "server.pem": readFileSync(fixture("server.pem"), "utf8") + readFileSync(fixture("server.key"), "utf8") })("server.pem");
  const bind = `ssl crt ${pem} ca-file ${fixture("clients/ca.pem")} verify optional alpn mqtt`;
  const certificate = ["--cert", fixture("clients/good.pem"), "--key", fixture("clients/good.key")];
  const told = { "tls.version": "1.3", "tls.client.common_name": "good", "tls.server_name": "localhost", "tls.alpn": "mqtt" };
  for (const [id, sends, own, expected] of [
    ["plain-cn", "send-proxy-v2-ssl-cn", certificate, { ...told, "tls.server_name": undefined }],
    ["all", "send-proxy-v2 proxy-v2-options ssl,cert-cn,cert-key,cert-sig,ssl-cipher,authority,crc32c,unique-id", certificate, told],
    ["nobody", "send-proxy-v2 proxy-v2-options ssl,cert-cn,authority", [], { ...told, "tls.client.common_name": undefined }],
  ] as const) {
    const haproxy = await startHaproxy(t, { bind, server: `127.0.0.1:${port} ${sends}` });
    const target = { port: haproxy.port, words: ["-h", "localhost", "-A", DEVICE, "--cafile", fixture("ca.pem"), "--tls-alpn", "mqtt", ...own] };
    const child = await subscribe(t, broker, target, { id, filters: ["A"], qos: 1, count: 1 });
    await publish(target, ["-t", "A", "-q", "1", "-m", "through two proxies"]);
    assert.deepEqual(await received(child), ["A 1 0 through two proxies"]);
    const line = await sluice.waitForEvent("client.open", (one) => one["client.id"] === id);
    assert.deepEqual([line["client.address"], line["proxy.address"]], [DEVICE, "127.0.0.1"]);
    const facts = Object.fromEntries(Object.keys(told).map((key) => [key, line[key]]));
    assert.deepEqual(facts, expected, sends);
  }
});

onEachArtefact("HAProxy's health checks get in nobody's way, and who comes without a header is refused", NEEDS, async (t, artefact) => {
  const { sluice, port } = await startBehindProxy(t, artefact);
  const checks = await startHaproxy(t, { server: `127.0.0.1:${port} check inter 50ms send-proxy-v2 check-send-proxy`, logFormat: "ended %ST" });
  for (let time = 0; time < 3; time++) {
    const client = await RawClient.open({ port: checks.port });
    await client.send(m.connect({ clientId: `after-checks-${time}` }));
    await client.expect(m.connack());
    await client.close();
  }
  // HAProxy ends a check by a reset, some before they are seen: those are lost clients, or have no address any more
  const refused = sluice.log().filter((line) => line.event === "client.reject" && line["client.address"] !== "" && line["reason"] !== "client_lost");
  assert.deepEqual(refused, [], checks.transcript());

  const direct = await RawClient.open({ port });
  t.after(() => direct.close());
  await direct.send(m.connect());
  await direct.expectEndWithoutData();
  await sluice.waitForEvent("client.reject", (one) => /PROXY header/.test(String(one["msg"])));
});

for (const version of ["v1", "v2"] as const) {
  onEachArtefact(`towards HAProxy a PROXY ${version} header names the client, and the broker behind it is reached`, NEEDS, async (t, artefact) => {
    const broker = await startBroker(t);
    const haproxy = await startHaproxy(t, { bind: "accept-proxy", server: `127.0.0.1:${broker.port}`, logFormat: "%ci %cp authority=%[fc_pp_authority]" });
    const words = ["--cert", fixture("server.pem"), "--key", fixture("server.key"), "--send-proxy", version, `mqtt://127.0.0.1:${haproxy.port}`];
    const { sluice, port } = await startFront(t, artefact, { listen: "mqtts://127.0.0.1:0", words });
    const target = { port, words: ["-h", "localhost", "-A", DEVICE, "--cafile", fixture("ca.pem")] };
    const child = await subscribe(t, broker, target, { id: "sub", filters: ["A"], qos: 1, count: 1 });
    await publish(target, ["-t", "A", "-q", "1", "-m", "named"]);
    assert.deepEqual(await received(child), ["A 1 0 named"]);
    const line = await sluice.waitForEvent("client.close", (one) => one["client.id"] === "sub");
    const authority = version === "v2" ? "localhost" : "-?"; // version 1 has no room for it
    await haproxy.waitForLine(new RegExp(`^${DEVICE} ${String(line["client.port"])} authority=${authority}$`));
  });

  onEachArtefact(`a broker that does not speak PROXY ${version}: the client is refused, and the lines say what may lie behind it`, NEEDS, async (t, artefact) => {
    const broker = await startBroker(t);
    const { sluice, port } = await startFront(t, artefact, { words: ["--send-proxy", version, `mqtt://127.0.0.1:${broker.port}`] });
    const client = await RawClient.open({ port });
    t.after(() => client.close());
    await client.send(m.connect({ version: 5 }));
    const { type, body } = await client.takePacket(20_000);
    assert.deepEqual([type, body[1]], [2, 0x88]);
    const line = await sluice.waitForEvent("client.reject");
    assert.match(String(line["msg"]), new RegExp(`sends it a PROXY ${version} header: is it set up for that\\?`));
  });
}

onEachArtefact("one sluice behind another learns the client's address, certificate and TLS", NEEDS, async (t, artefact) => {
  const behind = await startBehindProxy(t, artefact);
  const config = `[[listeners]]
listen = "mqtts://127.0.0.1:0"
tls = { cert = "${fixture("server.pem")}", key = "${fixture("server.key")}", ca = "${fixture("clients/ca.pem")}" }
[pools.default]
proxy_protocol = "v2"
brokers = ["mqtt://127.0.0.1:${behind.port}"]
`;
  const { port } = await startFront(t, artefact, { listen: null, config });
  const own = ["--cert", fixture("clients/good.pem"), "--key", fixture("clients/good.key")];
  const words = ["-h", "localhost", "-A", DEVICE, "--cafile", fixture("ca.pem"), "--tls-alpn", "mqtt", ...own];
  await publish({ port, words }, ["-i", "chained", "-t", "A", "-q", "1", "-m", "hello"]);
  const { sluice } = behind;
  const line = await sluice.waitForEvent("client.open", (one) => one["client.id"] === "chained");
  assert.deepEqual(
    ["client.address", "proxy.address", "tls.version", "tls.server_name", "tls.alpn", "tls.client.common_name"].map((key) => line[key]),
    [DEVICE, "127.0.0.1", "1.3", "localhost", "mqtt", "good"],
  );
});
