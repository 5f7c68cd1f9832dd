import assert from "node:assert/strict";
import { resolve } from "node:path";
import { needs, startMosquitto, type Mosquitto } from "../support/mosquitto.ts";
import { ARTEFACTS, runToEnd, type LogLine, type TestScope } from "../support/process.ts";
import { callSecurely } from "../support/s_client.ts";
import { linesAbout, onEachArtefact, startFront, writeTemporary, type Front } from "./front.ts";
import { publish, received, subscribe } from "./mosquitto_clients.ts";

const NEEDS = needs("mosquitto", "openssl");
const NEEDS_CLIENTS = needs("mosquitto", "mosquitto_pub", "mosquitto_sub");
const fixture = (name: string): string => resolve("test/fixtures/tls", name);
/** The revocation list is left out where the runtime does not honour one. */
const crlFor = (artefact: readonly string[]): string => (artefact === ARTEFACTS.deno ? "" : `crl = "${fixture("clients/crl.pem")}"\n`);

function configuration(broker: Mosquitto, clientCertificates: string, crl: string): string {
  return `[[listeners]]
listen = "mqtts://127.0.0.1:0"
[listeners.tls]
cert = "${fixture("server.pem")}"
key = "${fixture("server.key")}"
client_certificates = "${clientCertificates}"
ca = "${fixture("clients/ca.pem")}"
${crl}[pools.default]
brokers = ["mqtt://127.0.0.1:${broker.port}"]
`;
}

async function startDoor(t: TestScope, artefact: readonly string[], clientCertificates: "request" | "require"): Promise<Front & { broker: Mosquitto }> {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  const front = await startFront(t, artefact, { listen: null, config: configuration(broker, clientCertificates, crlFor(artefact)) });
  return { ...front, broker };
}

onEachArtefact("mosquitto_pub and mosquitto_sub with a certificate, a server name and ALPN, and the log names them", NEEDS_CLIENTS, async (t, artefact) => {
  const { sluice, port, broker } = await startDoor(t, artefact, "require");
  const own = ["--cert", fixture("clients/good.pem"), "--key", fixture("clients/good.key")];
  const target = { port, words: ["-h", "localhost", "--cafile", fixture("ca.pem"), ...own, "--tls-alpn", "x-amzn-mqtt-ca"] };
  const child = await subscribe(t, broker, target, { id: "sub", filters: ["A"], qos: 1, count: 1 });
  await publish(target, ["-i", "pub", "-t", "A", "-q", "1", "-m", "from a known device"]);
  assert.deepEqual(await received(child), ["A 1 0 from a known device"]);
  for (const id of ["sub", "pub"]) {
    const line = await sluice.waitForEvent("client.open", (one) => one["client.id"] === id);
    assert.deepEqual(
      [line["tls.client.common_name"], line["tls.server_name"], line["tls.alpn"], line["tls.version"], line["transport"]],
      ["good", "localhost", "x-amzn-mqtt-ca", "1.3", "mqtts"],
    );
    assert.match(String(line["tls.client.fingerprint"]), /^[0-9a-f]{64}$/);
  }
});

onEachArtefact("certificates that sluice cert has made serve mosquitto_pub, and let it in", NEEDS_CLIENTS, async (t, artefact) => {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  const path = writeTemporary(t, {});
  const out = path("");
  const program = artefact.map((word) => (word.includes("/") ? resolve(word) : word));
  for (const words of [["ca"], ["server", "localhost", "--ca", "ca.pem"], ["client", "sensor-1", "--ca", "ca.pem"]]) {
    const made = await runToEnd([...program, "cert", ...words], { cwd: out });
    assert.equal(made.code, 0, made.stderr);
  }
  const words = ["--cert", path("localhost.pem"), "--key", path("localhost.key"), "--client-ca", path("ca.pem"), `mqtt://127.0.0.1:${broker.port}`];
  const { sluice, port } = await startFront(t, artefact, { listen: "mqtts://127.0.0.1:0", words });
  const trust = ["-h", "localhost", "--cafile", path("ca.pem")];
  await publish({ port, words: [...trust, "--cert", path("sensor-1.pem"), "--key", path("sensor-1.key")] }, ["-i", "known", "-t", "A", "-q", "1", "-m", "hello"]);
  const line = await sluice.waitForEvent("client.open");
  assert.deepEqual([line["client.id"], line["tls.client.common_name"]], ["known", "sensor-1"]);
  await assert.rejects(publish({ port, words: trust }, ["-t", "A", "-m", "never"]));
  await sluice.waitForEvent("client.reject", (one) => /the client gave no certificate/.test(String(one["msg"])));
});

interface Caller {
  readonly who: string;
  /** Of its certificate and key, without the ending. */
  readonly file?: string;
  /** What the log says. */
  readonly why: RegExp;
}

const NO_CERTIFICATE: Caller = { who: "nobody", why: /the client gave no certificate/ };
const ROGUES: readonly Caller[] = [
  { who: "one of an unknown authority", file: "server", why: /the certificate comes from an unknown authority/ },
  // with a revocation list OpenSSL goes on to look for one of this authority too, and tells that it has none
  { who: "one who signed for himself", file: "self_signed", why: /not signed by a trusted authority|no revocation list of the certificate's authority/ },
  { who: "one whose time is over", file: "clients/expired", why: /the certificate has expired/ },
  { who: "one whose time is to come", file: "clients/not_yet_valid", why: /the certificate is not valid yet/ },
  { who: "a server", file: "clients/server_only", why: /the certificate is not made for this side of TLS/ },
  { who: "one whose certificate was revoked", file: "clients/revoked", why: /the certificate was revoked/ },
];

/** Deno tells little of why it refuses a certificate. */
const WHY_ON_DENO = /the certificate (was not accepted|comes from an unknown authority|has expired|is not valid yet)|the client gave no certificate/;

for (const version of ["-tls1_2", "-tls1_3"]) {
  for (const how of ["require", "request"] as const) {
    onEachArtefact(`client_certificates = "${how}" refuses rogues before a byte of MQTT is answered, and the log says why (${version})`, NEEDS, async (t, artefact) => {
      const { sluice, port, broker } = await startDoor(t, artefact, how);
      const hasCrl = crlFor(artefact) !== "";
      const callers = [...ROGUES.filter(({ file }) => hasCrl || file !== "clients/revoked"), ...(how === "require" ? [NO_CERTIFICATE] : [])];
      for (const [index, { who, file, why }] of callers.entries()) {
        const own = file === undefined ? [] : ["-cert", fixture(`${file}.pem`), "-key", fixture(`${file}.key`)];
        const answer = await callSecurely({ port, serverName: "localhost", words: [version, ...own] });
        assert.equal(answer.isConnected, false, `${who}\n${answer.transcript}`);
        const line = (await linesAbout(sluice, "client.reject", index + 1))[index] as LogLine;
        assert.match(String(line["msg"]), artefact === ARTEFACTS.deno ? WHY_ON_DENO : why, who);
        assert.deepEqual([line["reason"], line["client.address"], line["level"]], ["handshake_failed", "127.0.0.1", "info"]);
      }
      assert.doesNotMatch(broker.log, /New client connected/, "a rogue reached the broker");

      const good = await callSecurely({ port, words: [version, "-cert", fixture("clients/good.pem"), "-key", fixture("clients/good.key")] });
      assert.equal(good.isConnected, true, good.transcript);
      const known = await sluice.waitForEvent("client.open");
      assert.equal(known["tls.client.common_name"], "good");
      if (how === "require") return;
      const nobody = await callSecurely({ port, words: [version] });
      assert.equal(nobody.isConnected, true, nobody.transcript);
      const [, unknown] = await linesAbout(sluice, "client.open", 2);
      assert.equal((unknown as LogLine)["tls.client.common_name"], undefined);
    });
  }
}

onEachArtefact("a revocation list is honoured, or refused at the start where the runtime would not honour it", NEEDS, async (t, artefact) => {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  const config = configuration(broker, "require", `crl = "${fixture("clients/crl.pem")}"\n`);
  if (artefact !== ARTEFACTS.deno) {
    const { port } = await startFront(t, artefact, { listen: null, config });
    const revoked = await callSecurely({ port, words: ["-cert", fixture("clients/revoked.pem"), "-key", fixture("clients/revoked.key")] });
    return assert.equal(revoked.isConnected, false, revoked.transcript);
  }
  const file = writeTemporary(t, { "sluice.toml": config })("sluice.toml");
  for (const words of [["-c", file], ["check", file]]) {
    const outcome = await runToEnd([...artefact, ...words]);
    assert.notEqual(outcome.code, 0);
    assert.match(outcome.stderr, /revocation lists: this runtime does not honour them/);
  }
});
