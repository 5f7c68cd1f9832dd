import { test } from "node:test";
import { pause } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { startRig } from "./rig.ts";

test("R2: a client that comes after a long time without any has all of connect_timeout", async (t) => {
  const rig = await startRig(t, { limits: { connect_timeout: "500ms" } });
  await rig.canary();
  await pause(1_200); // the wheel has stood still for longer than the timeout
  const client = await rig.open();
  await pause(100);
  await client.send(m.connect());
  await client.expect(m.connack());
  await client.close();
  await rig.settled();
});
