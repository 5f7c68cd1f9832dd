import { test } from "node:test";
import { pause } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { RawClient } from "../support/raw_client.ts";
import { startRig } from "./rig.ts";
import { Relay } from "./relay.ts";
test("x", async (t) => {
  const rig = await startRig(t, { tls: true });
  for (const bytes of [m.bytes(m.disconnect(), new Uint8Array(100)), m.hex("15 03 03 00 02 02 28"), m.bytes(m.hex("17 03 03 00 20"), new Uint8Array(32)), m.bytes("GET / HTTP/1.1\r\n\r\n")]) {
    const relay = await Relay.start(t, rig.port);
    const client = rig.keep(await RawClient.open({ port: relay.port, tls: {} }));
    await client.send(m.connect({ keepAliveSeconds: 0 }));
    await client.expect(m.connack());
    relay.ways[0]!.socket.write(bytes);
    await pause(1000);
    console.log(rig.proxy.sessionCount, client.ending, relay.ways[0]!.ending, rig.log.at(-1)?.slice(40, 200));
  }
});
