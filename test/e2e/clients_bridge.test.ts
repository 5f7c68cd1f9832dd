import assert from "node:assert/strict";
import { until } from "../support/deadline.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import { brokerUrls, onEachArtefact, startFront } from "./front.ts";
import { publish, received, subscribe } from "./mosquitto_clients.ts";

onEachArtefact("a mosquitto bridge with its bit in the protocol level links two brokers", needs("mosquitto", "mosquitto_pub", "mosquitto_sub"), async (t, artefact) => {
  const central = await startMosquitto();
  t.after(() => central.stop());
  const { sluice, port } = await startFront(t, artefact, { words: brokerUrls(central) });
  const edge = await startMosquitto({
    extra: ["connection uplink", `address 127.0.0.1:${port}`, "remote_clientid edge-1", "try_private true", "topic # both 1"],
  });
  t.after(() => edge.stop());
  const opened = await sluice.waitForEvent("client.open", (line) => line["client.id"] === "edge-1");
  assert.equal(opened["mqtt.version"], "3.1.1");
  await until(() => central.log.includes("New bridge connected"), 10_000, "the broker to see a bridge and not a client");
  await until(() => edge.log.includes("Received SUBACK"), 10_000, "the bridge to be subscribed");

  const atCentral = await subscribe(t, central, { port: central.port }, { id: "at-central", filters: ["up"], count: 1 });
  const atEdge = await subscribe(t, edge, { port: edge.port }, { id: "at-edge", filters: ["down"], count: 1 });
  await publish({ port: edge.port }, ["-t", "up", "-m", "from the edge"]);
  await publish({ port: central.port }, ["-t", "down", "-m", "from the centre"]);
  assert.deepEqual(await received(atCentral), ["up 0 0 from the edge"]);
  assert.deepEqual(await received(atEdge), ["down 0 0 from the centre"]);
});
