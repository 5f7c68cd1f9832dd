import { strict as assert } from "node:assert";
import { openBench } from "./bench.ts";
import { pause } from "../support/deadline.ts";
import { type Case, withPair } from "./lab.ts";
import { OpensslClient } from "./openssl.ts";

/** More KeyUpdates with nothing between them than any adapter allows: BoringSSL takes 32, ours of the others some 150. */
const FLOOD = 400;

/** TLS only: what a client may do to its keys once it is in. */
export const floodCases: readonly Case[] = [
  {
    name: "renegotiation: is refused, and ends that connection",
    needs: "openssl",
    async run(lab) {
      const bench = await openBench(lab);
      const client = new OpensslClient(bench.port, "-tls1_2", "-CAfile", "test/fixtures/tls/ca.pem");
      try {
        client.type("ping");
        await client.until("the echo", ({ said }) => said.includes("ping"));
        const verified = client.times("verify return:1");
        client.type("R");
        const end = await bench.untilSecured();
        await end.until("close", ({ closed }) => closed);
        assert.equal(end.error?.code, "tls", end.error?.message);
        await client.until("its end", ({ isClosed }) => isClosed);
        assert.equal(client.times("verify return:1"), verified, "a second handshake");
      } finally {
        client.kill();
      }
      await bench.close();
    },
  },
  {
    name: "key updates: a few are followed",
    needs: "openssl",
    async run(lab) {
      const bench = await openBench(lab);
      const client = new OpensslClient(bench.port, "-tls1_3");
      try {
        await updateKeys(client, 5);
        client.type("after them");
        await client.until("the echo", ({ said }) => said.includes("after them"));
      } finally {
        client.kill();
      }
      await bench.close();
    },
  },
  {
    name: "tiny packets: a record for every byte is no flood",
    run: (lab) =>
      withPair(lab, async ({ client, server }) => {
        // Past two looks of the adapter that has to look.
        const end = performance.now() + 2_500;
        let sent = 0;
        for (; performance.now() < end; sent += 1) {
          client.connection.write(Uint8Array.of(sent & 255));
          await pause(2);
        }
        await server.until(`${sent} bytes`, ({ received }) => received >= sent);
        assert.deepEqual([client.error, server.error], [undefined, undefined]);
        assert.ok(!server.closed);
      }),
  },
  {
    name: "key updates: a flood of them ends that connection",
    needs: "openssl",
    async run(lab) {
      const bench = await openBench(lab);
      const client = new OpensslClient(bench.port, "-tls1_3");
      try {
        await updateKeys(client, FLOOD);
        const end = await bench.untilSecured();
        await end.until("close", ({ closed }) => closed);
        assert.match(end.error?.message ?? "", /too many key updates/);
      } finally {
        client.kill();
      }
      await bench.close();
    },
  },
];

/** One after the other, because it takes one for each piece of its input. */
async function updateKeys(client: OpensslClient, times: number): Promise<void> {
  client.type("ping");
  await client.until("the echo", ({ said }) => said.includes("ping"));
  for (let time = 1; time <= times; time += 1) {
    if (client.isClosed) return;
    client.type("K");
    await client.until(`key update ${time}`, (it) => it.times("KEYUPDATE") === time || it.isClosed);
  }
}
