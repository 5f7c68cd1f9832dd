import assert from "node:assert/strict";
import { resolve } from "node:path";
import { authority, server } from "../transport/certificates/made.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import type { SluiceProcess, TestScope } from "../support/process.ts";
import { callSecurely } from "../support/s_client.ts";
import { linesAbout, onEachArtefact, startFront, writeTemporary } from "./front.ts";

const NEEDS = needs("mosquitto", "openssl");
const clients = (name: string): string => resolve("test/fixtures/tls/clients", name);
const VERSIONS = ["-tls1_2", "-tls1_3"] as const;

interface Names {
  readonly sluice: SluiceProcess;
  readonly port: number;
  /** Of files that are gone after the test. */
  readonly path: (name: string) => string;
}

/** A listener with the names open.example and closed.example, each with its own certificate; the second asks for one of the client. */
async function startTwoNames(t: TestScope, artefact: readonly string[]): Promise<Names> {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  const ca = await authority();
  const files: Record<string, string> = {};
  for (const name of ["open", "closed"]) {
    const pair = await server(ca, [`${name}.example`]);
    files[`${name}.pem`] = pair.cert;
    files[`${name}.key`] = pair.key;
  }
  const path = writeTemporary(t, files);
  const config = `[[listeners]]
listen = "mqtts://127.0.0.1:0"
[listeners.tls]
cert = "${path("open.pem")}"
key = "${path("open.key")}"
certificates = [{ cert = "${path("closed.pem")}", key = "${path("closed.key")}", client_certificates = "require", ca = "${clients("ca.pem")}" }]
[pools.default]
brokers = ["mqtt://127.0.0.1:${broker.port}"]
`;
  return { ...(await startFront(t, artefact, { listen: null, config })), path };
}

const GOOD = ["-cert", clients("good.pem"), "-key", clients("good.key")];

for (const version of VERSIONS) {
  onEachArtefact(`a session is resumed with its ticket, and the client is still the one that its certificate named (${version})`, NEEDS, async (t, artefact) => {
    const { sluice, port, path } = await startTwoNames(t, artefact);
    for (const [name, own] of [["open", []], ["closed", GOOD]] as const) {
      const call = { port, serverName: `${name}.example` };
      const first = await callSecurely({ ...call, words: [version, ...own, "-sess_out", path(name)] });
      assert.deepEqual([first.isConnected, first.isResumed], [true, false], first.transcript);
      for (let time = 0; time < 2; time++) {
        const again = await callSecurely({ ...call, words: [version, ...own, "-sess_in", path(name)] });
        assert.deepEqual([again.isConnected, again.isResumed], [true, true], `${name}\n${again.transcript}`);
      }
    }
    const opened = await linesAbout(sluice, "client.open", 6);
    assert.deepEqual(opened.map((line) => line["tls.server_name"]), [...Array(3).fill("open.example"), ...Array(3).fill("closed.example")]);
    assert.deepEqual(opened.map((line) => line["tls.client.common_name"]), [...Array(3).fill(undefined), ...Array(3).fill("good")]);
  });

  onEachArtefact(`a ticket that one server name gave resumes nothing under another, and opens nothing there (${version})`, NEEDS, async (t, artefact) => {
    const { port, path } = await startTwoNames(t, artefact);
    const atOpen = await callSecurely({ port, serverName: "open.example", words: [version, "-sess_out", path("open")] });
    const atClosed = await callSecurely({ port, serverName: "closed.example", words: [version, ...GOOD, "-sess_out", path("closed")] });
    assert.deepEqual([atOpen.isConnected, atClosed.isConnected], [true, true], atOpen.transcript + atClosed.transcript);

    // who has a certificate gets a handshake of its own and its own certificate
    const withOther = await callSecurely({ port, serverName: "closed.example", words: [version, ...GOOD, "-sess_in", path("open")] });
    assert.deepEqual([withOther.isConnected, withOther.isResumed, withOther.commonName], [true, false, "closed.example"], withOther.transcript);
    // and who has none does not come in by the door of the neighbour
    const without = await callSecurely({ port, serverName: "closed.example", words: [version, "-sess_in", path("open")] });
    assert.deepEqual([without.isConnected, without.isResumed], [false, false], without.transcript);
    const back = await callSecurely({ port, serverName: "open.example", words: [version, "-sess_in", path("closed")] });
    assert.deepEqual([back.isConnected, back.isResumed, back.commonName], [true, false, "open.example"], back.transcript);
  });
}
