import assert from "node:assert/strict";
import { test } from "node:test";
import { Child } from "../support/child.ts";
import * as m from "../support/mqtt_bytes.ts";
import { runToEnd } from "../support/process.ts";
import { RawBroker } from "../support/raw_broker.ts";
import { RawClient } from "../support/raw_client.ts";
import { readmeExample, writeProgram } from "./program.ts";

test("the README's example runs as it stands: it accepts, stops, and the process ends", async (t) => {
  const { code, stdout, stderr } = await runToEnd(writeProgram(t, readmeExample()));
  assert.equal(stderr, "");
  assert.match(stdout, /^accepting on port \d+\n$/);
  assert.equal(code, 0);
});

test("the README's example with a broker: a client goes through it and both events are told", async (t) => {
  const broker = await RawBroker.start(t);
  const example = readmeExample();
  const program = example
    .replace("mqtt://127.0.0.1:1883", `mqtt://127.0.0.1:${broker.port}`)
    .replace("await proxy.stop();", "for await (const _ of process.stdin);\nawait proxy.stop();");
  assert.notEqual(program, example);
  const child = await Child.start(writeProgram(t, program));
  t.after(async () => void (await child.kill()));
  const port = await child.waitFor(() => /accepting on port (\d+)/.exec(child.stdout)?.[1], 10_000, "its port");

  const client = await RawClient.open({ port: Number(port) });
  t.after(() => client.close());
  await client.send(m.connect({ clientId: "guest" }));
  const connection = await broker.accept();
  await connection.expect(m.connect({ clientId: "guest" }));
  await connection.send(m.connack());
  await client.expect(m.connack());
  await client.send(m.bytes(m.publish(), m.disconnect()));
  await connection.expect(m.bytes(m.publish(), m.disconnect()));
  client.end();
  await child.waitFor(() => child.stdout.includes("left") || undefined, 10_000, "the end of the session");
  child.closeInput();
  assert.deepEqual(await child.ended(10_000), { code: 0, signal: null });
  assert.equal(child.stdout, `accepting on port ${port}\nguest is on 127.0.0.1:${broker.port}\nguest left: client_disconnect\n`);
  assert.equal(child.stderr, "");
});
