import assert from "node:assert/strict";
import { test } from "node:test";
import { mask, rotateKey } from "../../../src/transport/websocket/mask.ts";
import { seeded } from "../../support/seed.ts";

const KEY = 0x3d21fa37; // 37 fa 21 3d on the wire

test("RFC 6455 5.3: mask applies the key's bytes in turn, whatever the length and the place in memory", () => seeded((random) => {
  for (const length of [0, 1, 2, 3, 4, 5, 63, 127, 128, 129, 130, 131, 255, 1000, 4099]) {
    for (let offset = 0; offset < 9; offset++) {
      const original = random.bytes(offset + length + 3);
      const memory = original.slice();
      const view = memory.subarray(random.integer(0, offset));
      const from = offset - view.byteOffset;
      mask(view, from, from + length, KEY);
      const key = [0x37, 0xfa, 0x21, 0x3d];
      const expected = original.map((byte, index) => (index >= offset && index < offset + length ? byte ^ (key[(index - offset) % 4] as number) : byte));
      assert.deepEqual(memory, expected);
    }
  }
}));

test("rotateKey continues where a piece has ended", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 7].map((count) => rotateKey(KEY, count) >>> 0), [0x3d21fa37, 0x373d21fa, 0xfa373d21, 0x21fa373d, 0x3d21fa37, 0x21fa373d]);
});
