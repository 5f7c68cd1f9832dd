import assert from "node:assert/strict";
import { resolve } from "node:path";
import { authority, server } from "../transport/certificates/made.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import type { TestScope } from "../support/process.ts";
import { callSecurely, type SecureAnswer } from "../support/s_client.ts";
import { linesAbout, onEachArtefact, startFront, writeTemporary, type Front } from "./front.ts";

/** What OpenSSL's client gets from a listener: versions, protocols (ALPN), and the certificate for the name it asks for. */

const NEEDS = needs("mosquitto", "openssl");
const fixture = (name: string): string => resolve("test/fixtures/tls", name);
const PAIR = `cert = "${fixture("server.pem")}"\nkey = "${fixture("server.key")}"`;

async function startSecureFront(t: TestScope, artefact: readonly string[], tls: string): Promise<Front> {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  const config = `[[listeners]]\nlisten = "mqtts://127.0.0.1:0"\n[listeners.tls]\n${tls}\n[pools.default]\nbrokers = ["mqtt://127.0.0.1:${broker.port}"]\n`;
  return startFront(t, artefact, { listen: null, config });
}

/** The line of the only client that was refused so far. */
async function assertRefused({ sluice }: Front, answer: SecureAnswer, why: RegExp): Promise<void> {
  assert.equal(answer.isConnected, false, answer.transcript);
  const line = await sluice.waitForEvent("client.reject", (one) => why.test(String(one["msg"])));
  assert.deepEqual([line["reason"], line["client.address"]], ["handshake_failed", "127.0.0.1"]);
}

/** OpenSSL offers the old versions only when it is told to take weak keys. */
const WEAK = ["-cipher", "DEFAULT:@SECLEVEL=0"];
const VERSIONS = { "TLSv1": ["-tls1", ...WEAK], "TLSv1.1": ["-tls1_1", ...WEAK], "TLSv1.2": ["-tls1_2"], "TLSv1.3": ["-tls1_3"] };

for (const [minVersion, spoken] of [["1.2", ["TLSv1.2", "TLSv1.3"]], ["1.3", ["TLSv1.3"]]] as const) {
  onEachArtefact(`min_version "${minVersion}": ${spoken.join(" and ")} are spoken, what is older is refused with an alert and a line`, NEEDS, async (t, artefact) => {
    const front = await startSecureFront(t, artefact, `${PAIR}\nmin_version = "${minVersion}"`);
    for (const [version, words] of Object.entries(VERSIONS)) {
      const answer = await callSecurely({ port: front.port, serverName: "localhost", words });
      if (spoken.some((one) => one === version)) {
        assert.deepEqual([answer.isConnected, answer.version], [true, version], answer.transcript);
        const logged = await front.sluice.waitForEvent("client.open", (line) => line["tls.version"] === version.slice(4));
        assert.equal(logged["tls.server_name"], "localhost");
      } else {
        await assertRefused(front, answer, /no common version of TLS/);
        assert.match(String(answer.alert), /protocol version|handshake failure/, answer.transcript); // the second is rustls' (Deno)
      }
    }
    assert.equal((await linesAbout(front.sluice, "client.reject", 4 - spoken.length)).length, 4 - spoken.length);
  });
}

onEachArtefact("ALPN: the listener's order decides, who offers nothing is served, who offers only others gets an alert and a line", NEEDS, async (t, artefact) => {
  const front = await startSecureFront(t, artefact, `${PAIR}\nalpn = ["mqtt", "x-amzn-mqtt-ca"]`);
  const agreed = { "mqtt": "mqtt", "x-amzn-mqtt-ca": "x-amzn-mqtt-ca", "h2,x-amzn-mqtt-ca,mqtt": "mqtt", "": undefined };
  for (const version of ["-tls1_2", "-tls1_3"]) {
    for (const [offered, expected] of Object.entries(agreed)) {
      const answer = await callSecurely({ port: front.port, words: [version, ...(offered === "" ? [] : ["-alpn", offered])] });
      assert.deepEqual([answer.isConnected, answer.alpn], [true, expected], answer.transcript);
    }
    const refused = await callSecurely({ port: front.port, words: [version, "-alpn", "http/1.1,h2"] });
    await assertRefused(front, refused, /no common application protocol \(ALPN\)/);
    assert.match(String(refused.alert), /no application protocol|120/, refused.transcript);
  }
  const expected = [...Object.values(agreed), ...Object.values(agreed)];
  const opened = await linesAbout(front.sluice, "client.open", expected.length);
  assert.deepEqual(opened.map((line) => line["tls.alpn"]), expected);
});

onEachArtefact("the server name picks the certificate: an exact one before a wildcard, the first for all others", NEEDS, async (t, artefact) => {
  const ca = await authority();
  const files: Record<string, string> = { "ca.pem": ca.cert };
  for (const [file, names] of Object.entries({ first: ["first.example"], wild: ["*.fleet.example"], exact: ["seven.fleet.example"], listed: ["listed.example"] })) {
    const pair = await server(ca, names);
    files[`${file}.pem`] = pair.cert;
    files[`${file}.key`] = pair.key;
  }
  const path = writeTemporary(t, files);
  const pair = (file: string): string => `cert = "${path(`${file}.pem`)}", key = "${path(`${file}.key`)}"`;
  const { port } = await startSecureFront(t, artefact, `${pair("first").replace(", ", "\n")}
certificates = [{ ${pair("wild")} }, { ${pair("exact")} }, { ${pair("listed")}, names = ["other.example"] }]`);
  const expected: readonly (readonly [string | undefined, string])[] = [
    ["first.example", "first.example"],
    ["six.fleet.example", "*.fleet.example"],
    ["SIX.Fleet.Example", "*.fleet.example"],
    ["seven.fleet.example", "seven.fleet.example"],
    ["SEVEN.fleet.example", "seven.fleet.example"],
    ["a.b.fleet.example", "first.example"],
    ["fleet.example", "first.example"],
    ["other.example", "listed.example"],
    ["listed.example", "first.example"],
    ["nobody.example", "first.example"],
    [undefined, "first.example"],
  ];
  for (const [serverName, commonName] of expected) {
    for (const version of ["-tls1_2", "-tls1_3"]) {
      const answer = await callSecurely({ port, ...(serverName !== undefined && { serverName }), words: [version, "-CAfile", path("ca.pem")] });
      assert.deepEqual([answer.isConnected, answer.commonName], [true, commonName], `${version} ${serverName}\n${answer.transcript}`);
      assert.match(answer.transcript, /Verification: OK/);
    }
  }
});
