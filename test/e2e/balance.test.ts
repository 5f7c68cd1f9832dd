import assert from "node:assert/strict";
import { needs, startMosquitto, type Mosquitto } from "../support/mosquitto.ts";
import type { TestScope } from "../support/process.ts";
import type { RawClient } from "../support/raw_client.ts";
import { onEachArtefact, startFront } from "./front.ts";
import { brokerOf, names, openSession, portOf, spread } from "./sessions.ts";

const NEEDS = needs("mosquitto");

/** Several brokers that do not need to know of each other: one mosquitto with a port for each. */
async function startBrokers(t: TestScope, count: number): Promise<Mosquitto> {
  const broker = await startMosquitto({ listenerCount: count });
  t.after(() => broker.stop());
  return broker;
}

const poolOf = (balance: string, ports: readonly number[], weights: readonly number[]): string => {
  const brokers = ports.map((port, i) => `{ url = "mqtt://127.0.0.1:${port}", weight = ${weights[i] ?? 1} }`);
  return `[pools.default]\nbalance = "${balance}"\nbrokers = [${brokers.join(", ")}]\n`;
};

onEachArtefact("round_robin gives each broker its weight's share, in turns", NEEDS, async (t, artefact) => {
  const { ports } = await startBrokers(t, 3);
  const front = await startFront(t, artefact, { config: poolOf("round_robin", ports, [3, 1, 1]) });
  const order: number[] = [];
  for (const clientId of names(10)) order.push(ports.indexOf(await brokerOf(t, front, clientId)));
  assert.deepEqual(order, [0, 1, 0, 2, 0, 0, 1, 0, 2, 0]);
});

onEachArtefact("least_connections fills up the broker that lost sessions, by weight", NEEDS, async (t, artefact) => {
  const { ports } = await startBrokers(t, 2);
  const [heavy, light] = ports as [number, number];
  const front = await startFront(t, artefact, { config: poolOf("least_connections", ports, [2, 1]) });
  const clients = new Map<number, RawClient[]>([[heavy, []], [light, []]]);
  for (const clientId of names(6)) {
    const client = await openSession(t, front.port, { clientId });
    const line = await front.sluice.waitForEvent("client.open", (one) => one["client.id"] === clientId);
    clients.get(portOf(line))!.push(client);
  }
  assert.deepEqual([...clients.values()].map((list) => list.length), [4, 2]);
  for (const [port, count] of [[light, 1], [heavy, 2], [light, 2]] as const) {
    for (const client of clients.get(port)!.splice(0, count)) {
      const local = client.socket.localPort;
      await client.close();
      await front.sluice.waitForEvent("client.close", (one) => one["client.port"] === local);
    }
    for (const clientId of names(count, `after-${port}-${count}`)) {
      const client = await openSession(t, front.port, { clientId });
      clients.get(port)!.push(client);
      const line = await front.sluice.waitForEvent("client.open", (one) => one["client.id"] === clientId);
      assert.equal(portOf(line), port, clientId);
    }
  }
});

onEachArtefact("random takes the less loaded of two, so nobody is left behind", NEEDS, async (t, artefact) => {
  const { ports } = await startBrokers(t, 3);
  const front = await startFront(t, artefact, { config: poolOf("random", ports, [1, 1, 1]) });
  const counts = await spread(t, front, names(60));
  assert.equal(counts.size, 3);
  // Two choices keep the loads within a few of each other; plain chance would spread far wider.
  for (const count of counts.values()) assert.ok(count >= 14 && count <= 26, `${[...counts.values()]}`);
});

onEachArtefact("client_id keeps each client on its broker, and moves only the clients of a lost one", NEEDS, async (t, artefact) => {
  const kept = await startBrokers(t, 2);
  const lost = await startBrokers(t, 1);
  const ports = [...kept.ports, lost.port];
  const front = await startFront(t, artefact, { config: poolOf("client_id", ports, [1, 1, 1]) });
  const clientIds = names(24, "device");
  const homes = new Map<string, number>();
  for (const clientId of clientIds) homes.set(clientId, await brokerOf(t, front, clientId));
  assert.equal(new Set(homes.values()).size, 3, "24 clients should be on all three");
  for (const clientId of clientIds) assert.equal(await brokerOf(t, front, clientId), homes.get(clientId), clientId);

  const another = await startFront(t, artefact, { config: poolOf("client_id", [...ports].reverse(), [1, 1, 1]) });
  for (const clientId of clientIds) assert.equal(await brokerOf(t, another, clientId), homes.get(clientId), `${clientId} at another proxy`);

  await lost.kill();
  for (const clientId of clientIds) {
    const now = await brokerOf(t, front, clientId);
    if (homes.get(clientId) === lost.port) assert.ok(kept.ports.includes(now), clientId);
    else assert.equal(now, homes.get(clientId), clientId);
  }
});
