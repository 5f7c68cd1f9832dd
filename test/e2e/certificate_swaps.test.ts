/**
 * Certificates that are swapped under load. In the suite five times in each way, on the executable; with SLUICE_SWAPS=50 in the environment
 * fifty times, on every artefact.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import process from "node:process";
import { describe, test, type TestContext } from "node:test";
import { authority, server } from "../transport/certificates/made.ts";
import { until } from "../support/deadline.ts";
import { HandshakeLoad } from "../support/handshake_load.ts";
import * as m from "../support/mqtt_bytes.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import { ARTEFACTS, type TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { startFront, writeTemporary, type Front } from "./front.ts";

const given = process.env["SLUICE_SWAPS"];
const SWAPS = given === undefined ? 5 : Number(given);
const CHOSEN = given === undefined ? { bun: ARTEFACTS.bun } : ARTEFACTS;
const HANDSHAKES_PER_SECOND = 500;
const STANDING = 50;

type Pair = Awaited<ReturnType<typeof server>>;

/** Where a listener finds its certificate, and how another one is put there in one step. */
interface Place {
  readonly cert: string;
  readonly key: string;
  put(pair: Pair): void;
}

/** Certificate and key in one file, which is replaced by a rename. */
function byRename(path: (name: string) => string): Place {
  const file = path("both.pem");
  const put = ({ cert, key }: Pair): void => {
    writeFileSync(`${file}.new`, cert + key);
    renameSync(`${file}.new`, file);
  };
  return { cert: file, key: file, put };
}

/** As Kubernetes mounts secrets: the files are links through a link, `..data`, that is turned to another directory. */
function byLink(path: (name: string) => string): Place {
  let generation = 0;
  const put = ({ cert, key }: Pair): void => {
    const directory = `..${++generation}`;
    mkdirSync(path(directory));
    writeFileSync(path(`${directory}/tls.crt`), cert);
    writeFileSync(path(`${directory}/tls.key`), key);
    symlinkSync(directory, path("..new"));
    renameSync(path("..new"), path("..data"));
    if (generation > 1) rmSync(path(`..${generation - 1}`), { recursive: true });
  };
  for (const name of ["tls.crt", "tls.key"]) symlinkSync(`..data/${name}`, path(name));
  return { cert: path("tls.crt"), key: path("tls.key"), put };
}

const serialOf = ({ cert }: Pair): string => new X509Certificate(cert).serialNumber;

async function openStanding(t: TestScope, { port }: Front, ca: string): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (let index = 0; index < STANDING; index++) {
    const client = await RawClient.open({ port, tls: { ca } });
    t.after(() => client.close());
    await client.send(m.connect({ clientId: `standing-${index}`, keepAliveSeconds: 0 }));
    await client.expect(m.connack());
    clients.push(client);
  }
  return clients;
}

const count = ({ sluice }: Front, event: string): number => sluice.log().filter((line) => line.event === event).length;

async function swap(t: TestContext, artefact: readonly string[], place: (path: (name: string) => string) => Place): Promise<void> {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  const ca = await authority();
  const { cert, key, put } = place(writeTemporary(t, {}));
  put(await server(ca, ["localhost"]));
  const front = await startFront(t, artefact, { listen: "mqtts://127.0.0.1:0", words: ["--cert", cert, "--key", key, `mqtt://127.0.0.1:${broker.port}`] });
  const standing = await openStanding(t, front, ca.cert);
  const load = new HandshakeLoad({ port: front.port, ca: ca.cert, perSecond: HANDSHAKES_PER_SECOND });
  t.after(() => load.stop());

  for (let index = 1; index <= SWAPS; index++) {
    const pair = await server(ca, ["localhost"]);
    put(pair);
    await until(() => count(front, "certificate.loaded") === index, 10_000, `certificate ${index} to be loaded`);
    await until(() => load.serial === serialOf(pair), 5_000, `a handshake with certificate ${index}`);
  }
  const last = load.serial;
  put({ cert: (await server(ca, ["localhost"])).cert, key: (await server(ca, ["localhost"])).key });
  await front.sluice.waitForEvent("certificate.refused");
  const before = load.done;
  await until(() => load.done > before + 50, 5_000, "handshakes after a broken pair");
  assert.equal(load.serial, last, "a broken pair changed the certificate");

  load.stop();
  await until(() => load.isIdle, 5_000, "the last handshakes");
  t.diagnostic(`${SWAPS} swaps, ${load.done} handshakes, ${Math.round(load.rate)} a second, ${load.failures.length} failed`);
  assert.deepEqual(load.failures, []);
  for (const client of standing) {
    await client.send(m.pingreq());
    await client.expect(m.pingresp());
  }
  assert.deepEqual([count(front, "client.close"), count(front, "certificate.refused")], [0, 1]);
}

for (const [how, place] of [["a file that is renamed", byRename], ["a link that is turned, as Kubernetes does it", byLink]] as const) {
  describe(`${SWAPS} certificates through ${how}, under load: no handshake fails, no session is cut, and a broken pair changes nothing`, () => {
    for (const [name, artefact] of Object.entries(CHOSEN)) test(name, needs("mosquitto"), (t) => swap(t, artefact, place));
  });
}
