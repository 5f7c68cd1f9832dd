import assert from "node:assert/strict";
import { copyFileSync, mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { needs } from "../support/needs.ts";
import { startSluice, type TestScope } from "../support/process.ts";
import { RawBroker } from "../support/raw_broker.ts";
import { onEachArtefact, writeTemporary } from "./front.ts";

const fixture = (name: string): string => resolve("test/fixtures/tls", name);
const PAIR = `cert = "${fixture("server.pem")}", key = "${fixture("server.key")}"`;

/** The banner on a terminal, as text. */
async function bannerOf(t: TestScope, artefact: readonly string[], listener: string): Promise<string> {
  const broker = await RawBroker.start(t);
  const config = `[[listeners]]\n${listener}\n[pools.default]\nbrokers = ["mqtt://127.0.0.1:${broker.port}"]\n`;
  const file = writeTemporary(t, { "sluice.toml": config })("sluice.toml");
  const terminal = ["script", "--quiet", "--return", "--command", `exec ${artefact.join(" ")} -c ${file} --color never`, "/dev/null"];
  const { child } = await startSluice(t, terminal, { env: { TERM: "dumb" }, mayEnd: true });
  await child.waitFor(({ stdout }) => /answers in .*\r\n/.exec(stdout) ?? undefined, 10_000, "the banner");
  child.write("\x03");
  await child.ended(15_000);
  return child.stdout.replaceAll("\r", "");
}

const CASES: readonly (readonly [what: string, listener: string, says: RegExp])[] = [
  ["a certificate to trust", `listen = "mqtts://127.0.0.1:0"\ntls = { ${PAIR} }`, /mosquitto_pub -h 127\.0\.0\.1 -p \d+ --cafile \S+server\.pem -t/],
  ["clients that need one of their own", `listen = "mqtts://127.0.0.1:0"\ntls = { ${PAIR}, ca = "${fixture("clients/ca.pem")}" }`, /--cafile \S+server\.pem --cert client\.pem --key client\.key -t/],
  ["a port for everything, with TLS", `listen = "any://127.0.0.1:0"\ntls = { ${PAIR} }`, /mosquitto_pub -h 127\.0\.0\.1 -p \d+ -t/],
  ["a port for TLS alone", `listen = "any://127.0.0.1:0"\naccept = ["mqtts", "wss"]\ntls = { ${PAIR} }`, /mosquitto_pub -h 127\.0\.0\.1 -p \d+ --cafile \S+server\.pem -t/],
  ["WebSocket", `listen = "ws://127.0.0.1:0/devices"`, /MQTT\.js: mqtt\.connect\("ws:\/\/127\.0\.0\.1:\d+\/devices"\)/],
];

for (const [what, listener, says] of CASES) {
  onEachArtefact(`the banner tells what to type for ${what}`, needs("script"), async (t, artefact) => {
    assert.match(await bannerOf(t, artefact, listener), says);
  });
}

onEachArtefact("the banner tells nothing to type that could not work: who must come through a proxy", needs("script"), async (t, artefact) => {
  const banner = await bannerOf(t, artefact, `listen = "mqtt://127.0.0.1:0"\nproxy_protocol = { from = ["127.0.0.1"] }`);
  assert.doesNotMatch(banner, /mosquitto_pub/);
});

onEachArtefact("the banner's line can be copied, also with a blank in a file's name", needs("script"), async (t, artefact) => {
  const path = writeTemporary(t, {});
  mkdirSync(path("my keys"));
  for (const name of ["server.pem", "server.key"]) copyFileSync(fixture(name), path(`my keys/${name}`));
  const tls = `tls = { cert = "${path("my keys/server.pem")}", key = "${path("my keys/server.key")}" }`;
  assert.ok((await bannerOf(t, artefact, `listen = "mqtts://127.0.0.1:0"\n${tls}`)).includes(`--cafile '${path("my keys/server.pem")}' `));
});
