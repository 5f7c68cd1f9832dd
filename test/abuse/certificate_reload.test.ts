import assert from "node:assert/strict";
import { copyFileSync, renameSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { pause, until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { RawClient } from "../support/raw_client.ts";
import { certificateIn, clearHello, takeFlight } from "./clear_hello.ts";
import { startRig } from "./rig.ts";
import { temporaryFolder } from "../support/temporary_folder.ts";

const FILES = "test/fixtures/tls";

test("T10, L1: certificates change under load: no handshake fails, new ones get the new one, sessions live on, and a broken pair changes nothing", async (t) => {
  const folder = temporaryFolder(t);
  const put = (name: string) => {
    for (const end of ["pem", "key"]) {
      copyFileSync(`${FILES}/${name}.${end}`, `${folder}/new.${end}`);
      renameSync(`${folder}/new.${end}`, `${folder}/tls.${end}`);
    }
  };
  put("server");
  const rig = await startRig(t, {
    configure: () => ({ listeners: [{ listen: "mqtts://127.0.0.1:0", tls: { cert: `${folder}/tls.pem`, key: `${folder}/tls.key` } }] }),
    enter: (each) => RawClient.open({ port: each.port, tls: {} }),
  });
  const served = async () => {
    const client = await rig.knock();
    await client.send(clearHello());
    const { certificate } = await takeFlight(client);
    await client.close();
    assert.ok(certificate !== undefined, "a handshake got no certificate");
    return certificate;
  };
  const old = await rig.session({ clientId: "old" });
  let isOver = false;
  let canaries = 0;
  const load = (async () => {
    for (; !isOver; canaries++) await rig.canary();
  })();

  for (const name of ["other", "server"]) {
    put(name);
    const wanted = certificateIn(`${FILES}/${name}.pem`);
    await until(async () => (await served()) === wanted, 4_000, `handshakes with ${name}`);
    assert.equal(rig.log.filter((line) => line.includes("certificate.loaded")).length, name === "other" ? 1 : 2);
  }
  writeFileSync(`${folder}/tls.key`, "broken");
  await rig.line("certificate.refused", "the old one stays");
  await pause(1_200); // one look more
  assert.equal(rig.log.filter((line) => line.includes("certificate.refused")).length, 1);
  assert.equal(await served(), certificateIn(`${FILES}/server.pem`));

  isOver = true;
  await load;
  assert.ok(canaries > 50, `${canaries} handshakes`);
  await old.client.send(m.publish({ qos: 1, packetId: 9 }));
  await old.client.expect(m.puback(9));
  await rig.settled();
});
