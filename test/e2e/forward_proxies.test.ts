import assert from "node:assert/strict";
import { createServer, type AddressInfo } from "node:net";
import { resolve } from "node:path";
import { startHttpProxy, startSocksProxy, type ForwardProxyStart } from "../support/forward_proxies.ts";
import * as m from "../support/mqtt_bytes.ts";
import { needs, startMosquitto, type Mosquitto, type MosquittoOptions } from "../support/mosquitto.ts";
import { freePorts } from "../support/ports.ts";
import { runToEnd, type SluiceProcess, type TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { onEachArtefact, startFront, writeTemporary } from "./front.ts";
import { publish, received, subscribe } from "./mosquitto_clients.ts";

const NEEDS = needs("mosquitto", "mosquitto_pub", "mosquitto_sub");
const fixture = (name: string): string => resolve("test/fixtures/tls", name);

interface Kind {
  readonly name: string;
  readonly scheme: "http" | "socks5";
  readonly start: ForwardProxyStart;
  readonly asksForLogin: RegExp;
  readonly refusesLogin: RegExp;
  readonly cannotReach: RegExp;
}

const KINDS: readonly Kind[] = [
  { name: "HTTP CONNECT", scheme: "http", start: startHttpProxy, asksForLogin: /the HTTP proxy \S+ asks for credentials \(407\)/, refusesLogin: /the HTTP proxy \S+ refused the credentials \(407\)/, cannotReach: /the HTTP proxy \S+ cannot reach the broker \(502\)/ },
  { name: "SOCKS 5", scheme: "socks5", start: startSocksProxy, asksForLogin: /the SOCKS proxy \S+ asks for credentials/, refusesLogin: /the SOCKS proxy \S+ refused the credentials/, cannotReach: /the SOCKS proxy \S+ was refused by the broker/ },
];

async function startBroker(t: TestScope, options: MosquittoOptions = {}): Promise<Mosquitto> {
  const broker = await startMosquitto(options);
  t.after(() => broker.stop());
  return broker;
}

async function assertPasses(t: TestScope, broker: Mosquitto, port: number): Promise<void> {
  const child = await subscribe(t, broker, { port }, { id: `sub-${port}`, filters: ["A"], qos: 2, count: 1 });
  await publish({ port }, ["-t", "A", "-q", "2", "-m", "by a detour"]);
  assert.deepEqual(await received(child), ["A 2 0 by a detour"]);
}

/** The client is told that there is no broker, the log says why, and no line has the password. */
async function assertRefused(t: TestScope, { sluice, port }: { sluice: SluiceProcess; port: number }, why: RegExp): Promise<void> {
  const client = await RawClient.open({ port });
  t.after(() => client.close());
  await client.send(m.connect({ version: 5 }));
  await client.expect(m.hex("20 03 00 88 00"), 20_000);
  const line = await sluice.waitForEvent("client.reject");
  assert.match(String(line["msg"]), why);
  const warned = await sluice.waitForEvent("broker.down");
  assert.match(String(warned["msg"]), why);
  assert.doesNotMatch(sluice.child.stderr, /secret/);
}

for (const { name, scheme, start, asksForLogin, refusesLogin, cannotReach } of KINDS) {
  onEachArtefact(`${name}: the broker is reached, and its name is the proxy's to resolve`, NEEDS, async (t, artefact) => {
    const broker = await startBroker(t);
    const proxy = await start(t, { hosts: { "broker.behind.invalid": "127.0.0.1" } });
    for (const host of ["127.0.0.1", "broker.behind.invalid"]) {
      const { port } = await startFront(t, artefact, { words: ["--via", `${scheme}://127.0.0.1:${proxy.port}`, `mqtt://${host}:${broker.port}`] });
      await assertPasses(t, broker, port);
      assert.equal(proxy.targets.at(-1), `${host}:${broker.port}`);
    }
  });

  onEachArtefact(`${name}: credentials in the URL or in a file open it, others do not and a line says so`, NEEDS, async (t, artefact) => {
    const broker = await startBroker(t);
    const proxy = await start(t, { login: "edge:s3cret:wörd" });
    const to = `mqtt://127.0.0.1:${broker.port}`;
    const at = `127.0.0.1:${proxy.port}`;
    const inUrl = await startFront(t, artefact, { words: ["--via", `${scheme}://edge:${encodeURIComponent("s3cret:wörd")}@${at}`, to] });
    await assertPasses(t, broker, inUrl.port);
    const file = writeTemporary(t, { password: "s3cret:wörd\n" })("password");
    const config = `[pools.default]\nbrokers = ["${to}"]\nvia = { url = "${scheme}://edge@${at}", password_file = "${file}" }\n`;
    await assertPasses(t, broker, (await startFront(t, artefact, { config })).port);

    await assertRefused(t, await startFront(t, artefact, { words: ["--via", `${scheme}://edge:secret@${at}`, to] }), refusesLogin);
    await assertRefused(t, await startFront(t, artefact, { words: ["--via", `${scheme}://${at}`, to] }), asksForLogin);
    assert.doesNotMatch(broker.log, /New client connected .* as test-client/);
  });

  onEachArtefact(`${name}: TLS and WebSocket with the broker go through it, and the certificate is the broker's`, NEEDS, async (t, artefact) => {
    const tls = { cert: fixture("server.pem"), key: fixture("server.key") };
    const proxy = await start(t, { hosts: { "localhost": "127.0.0.1", "broker.example": "127.0.0.1" } });
    const via = ["--via", `${scheme}://127.0.0.1:${proxy.port}`];
    for (const [broker, url] of [[await startBroker(t, { tls }), "mqtts"], [await startBroker(t, { tls, protocol: "websockets" }), "wss"]] as const) {
      const { port } = await startFront(t, artefact, { words: [...via, "--ca", fixture("ca.pem"), `${url}://localhost:${broker.port}`] });
      await assertPasses(t, broker, port);
      const wrong = await startFront(t, artefact, { words: [...via, "--ca", fixture("ca.pem"), `${url}://broker.example:${broker.port}`] });
      await assertRefused(t, wrong, /not for "broker\.example"/);
    }
  });

  onEachArtefact(`${name}: a proxy that is down, one that cannot reach the broker, and one that is none are told apart`, {}, async (t, artefact) => {
    const proxy = await start(t);
    const [down, gone] = await freePorts(2);
    const to = `mqtt://127.0.0.1:${gone}`;
    await assertRefused(t, await startFront(t, artefact, { words: ["--via", `${scheme}://127.0.0.1:${down}`, to] }), new RegExp(`the proxy 127\\.0\\.0\\.1:${down}: connection refused`));
    await assertRefused(t, await startFront(t, artefact, { words: ["--via", `${scheme}://127.0.0.1:${proxy.port}`, to] }), cannotReach);
    const other = await (scheme === "http" ? startSocksProxy : startHttpProxy)(t);
    const why = scheme === "http" ? /does not speak HTTP\/1|the proxy \S+ closed before the way to the broker was open/ : /does not speak SOCKS 5/;
    await assertRefused(t, await startFront(t, artefact, { words: ["--via", `${scheme}://127.0.0.1:${other.port}`, to] }), why);
  });
}

onEachArtefact("a proxy that takes connections and says nothing is named by check, and what was waited for", {}, async (t, artefact) => {
  const silent = createServer((socket) => void socket.on("error", () => {}));
  await new Promise<void>((ready) => silent.listen({ host: "127.0.0.1", port: 0 }, ready));
  t.after(() => void silent.close());
  const { port } = silent.address() as AddressInfo;
  const toml = `[limits]\ndial_timeout = "300ms"\n[[listeners]]\nlisten = "mqtt://127.0.0.1:0"\n[pools.default]\nbrokers = ["mqtt://127.0.0.1:1"]\nvia = "socks5://127.0.0.1:${port}"\n`;
  const { stderr } = await runToEnd([...artefact, "check", writeTemporary(t, { "sluice.toml": toml })("sluice.toml")]);
  assert.match(stderr, new RegExp(`did not answer within 300 ms: waited for the answer of the proxy 127\\.0\\.0\\.1:${port}, which is connected`));
});
