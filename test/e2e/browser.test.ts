import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { startSite, type PageSite } from "../support/chromium.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import type { SluiceProcess, TestScope } from "../support/process.ts";
import { linesAbout, onEachArtefact, startFront } from "./front.ts";

/** MQTT.js in a real browser, through sluice to a mosquitto that knows nothing of WebSocket. */

const NEEDS = needs("mosquitto", "chromium");
const fixture = (name: string): string => resolve("test/fixtures/tls", name);

interface Doors {
  readonly sluice: SluiceProcess;
  readonly site: PageSite;
  /** The URL of a listener, by its name. */
  readonly url: (name: string) => Promise<string>;
}

/** Listeners for WebSocket with and without TLS, and one that the site's page may not use. */
async function openDoors(t: TestScope, artefact: readonly string[]): Promise<Doors> {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  const site = await startSite(t, { "/mqtt.js": readFileSync("node_modules/mqtt/dist/mqtt.min.js") });
  const tls = `tls = { cert = "${fixture("server.pem")}", key = "${fixture("server.key")}" }`;
  const config = `
[[listeners]]
listen = "ws://127.0.0.1:0/devices"
name = "plain"
websocket = { origins = ["${site.origin}"] }
[[listeners]]
listen = "wss://127.0.0.1:0"
name = "secure"
${tls}
[[listeners]]
listen = "any://127.0.0.1:0"
name = "mixed"
${tls}
[[listeners]]
listen = "ws://127.0.0.1:0"
name = "others"
websocket = { origins = ["https://app.example.com", "http://*.example.com"] }
[pools.default]
brokers = ["mqtt://127.0.0.1:${broker.port}"]
`;
  const { sluice } = await startFront(t, artefact, { listen: null, config });
  const url = async (name: string): Promise<string> => {
    const { port, msg } = await sluice.waitForEvent("listener.start", (line) => line["listener"] === name);
    const scheme = name === "secure" || name === "mixed" ? "wss" : "ws";
    return `${scheme}://127.0.0.1:${String(port)}${/\d(\/.*)$/.exec(String(msg))?.[1] ?? "/mqtt"}`;
  };
  return { sluice, site, url };
}

/** Connects, subscribes, publishes and takes its own message back from each URL in turn; reports what came of each. */
const PAGE = `
async function converse(url, version, length) {
  const client = mqtt.connect(url, { protocolVersion: version, reconnectPeriod: 0, clientId: "browser-" + version });
  const sent = Array.from({ length }, (_, at) => String.fromCharCode(32 + at % 95)).join("");
  const got = new Promise((resolve) => client.on("message", (topic, payload) => resolve(topic + " " + payload.length + " " + (payload.toString() === sent))));
  const gone = new Promise((resolve) => client.on("close", () => resolve("closed")));
  const opened = new Promise((resolve) => client.on("connect", resolve));
  if (await Promise.race([opened, gone]) === "closed") return "refused";
  await client.subscribeAsync("page/#", { qos: 2 });
  await client.publishAsync("page/" + version, sent, { qos: 2 });
  const message = await Promise.race([got, gone]);
  await client.endAsync();
  return message;
}
(async () => {
  const answers = [];
  for (const [url, version, length] of CALLS) answers.push(await converse(url, version, length).catch(String));
  report(answers);
})();
`;

onEachArtefact("MQTT.js in Chromium talks over ws:// and wss://, and pages from elsewhere are refused", NEEDS, async (t, artefact) => {
  const { sluice, site, url } = await openDoors(t, artefact);
  const calls = [
    [await url("plain"), 4, 12],
    [await url("plain"), 5, 300_000],
    [await url("secure"), 4, 300_000],
    [await url("secure"), 5, 0],
    [await url("mixed"), 5, 70_000],
    [await url("others"), 5, 1],
  ] as const;
  const answers = await site.visit(`const CALLS = ${JSON.stringify(calls)};${PAGE}`);
  const expected = calls.map(([, version, length]) => `page/${version} ${length} true`);
  assert.deepEqual(answers, [...expected.slice(0, -1), "refused"]);

  const opened = await linesAbout(sluice, "client.open", calls.length - 1);
  const facts = opened.map((line) => [line["listener"], line["transport"], line["mqtt.version"], line["tls.version"], line["tls.alpn"]]);
  assert.deepEqual(facts, [
    ["plain", "ws", "3.1.1", undefined, undefined],
    ["plain", "ws", "5", undefined, undefined],
    ["secure", "wss", "3.1.1", "1.3", "http/1.1"],
    ["secure", "wss", "5", "1.3", "http/1.1"],
    ["mixed", "wss", "5", "1.3", "http/1.1"],
  ]);
  const refused = await sluice.waitForEvent("client.reject");
  assert.equal(refused["listener"], "others");
  assert.match(String(refused["msg"]), /from a page that is not allowed to connect/);
});
