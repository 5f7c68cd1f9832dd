import assert from "node:assert/strict";
import * as m from "../support/mqtt_bytes.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import { RawClient } from "../support/raw_client.ts";
import { onEachArtefact, startFront, writeTemporary } from "./front.ts";

const NEEDS = needs("mosquitto");

onEachArtefact("the credentials of a broker's URL open a mosquitto that the client's own do not", NEEDS, async (t, artefact) => {
  const password = "p@ss:w/rd%";
  const broker = await startMosquitto({ users: { gateway: password } });
  t.after(() => broker.stop());
  const inUrl = { words: [`mqtt://gateway:${encodeURIComponent(password)}@127.0.0.1:${broker.port}`] };
  const file = writeTemporary(t, { password: `${password}\n` })("password");
  const inFile = { config: `[pools.default]\nbrokers = [{ url = "mqtt://gateway@127.0.0.1:${broker.port}", password_file = "${file}" }]\n` };
  const without = { words: [`mqtt://127.0.0.1:${broker.port}`] };
  for (const [options, isOpen] of [[inUrl, true], [inFile, true], [without, false]] as const) {
    const { sluice, port } = await startFront(t, artefact, { ...options, logLevel: "debug" });
    for (const version of [3, 4, 5] as const) {
      for (const own of [{}, { username: "guest" }, { username: "guest", password: "guest" }]) {
        const client = await RawClient.open({ port });
        t.after(() => client.close());
        await client.send(m.connect({ version, ...own }));
        const { type, body } = await client.takePacket();
        assert.equal(type, 2);
        assert.equal(body[1] === 0, isOpen, `MQTT ${version}, ${JSON.stringify(own)}: CONNACK code ${body[1]}`);
        await client.close();
      }
    }
    assert.ok(!sluice.child.stderr.includes(password));
  }
});
