import assert from "node:assert/strict";
import { isIP } from "node:net";
import { describe, test } from "node:test";
import { addressBytes, addressText, includesAddress, type Network, parseNetwork } from "../../src/lib/network.ts";
import { hex } from "../support/mqtt_bytes.ts";
import { seeded } from "../support/seed.ts";

function networks(...texts: readonly string[]): Network[] {
  return texts.map((text) => {
    const network = parseNetwork(text);
    assert.ok(network === "unix" || "bytes" in network, `${text}: ${JSON.stringify(network)}`);
    return network;
  });
}

describe("includesAddress", () => {
  const cases: [string, readonly string[], readonly string[]][] = [
    ["10.0.0.0/8", ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"], ["11.0.0.0", "9.255.255.255", "::1", "::10.0.0.1"]],
    ["192.168.1.5", ["192.168.1.5", "::ffff:c0a8:105"], ["192.168.1.4", "192.168.1.6"]],
    ["192.168.16.0/20", ["192.168.31.255"], ["192.168.32.0", "192.168.15.255"]],
    ["0.0.0.0/0", ["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"], ["::1", "unix", ""]],
    ["::1", ["::1", "0:0:0:0:0:0:0:1"], ["::2", "127.0.0.1"]],
    ["2001:db8::/33", ["2001:db8:7fff::1"], ["2001:db8:8000::1"]],
    ["fe80::/10", ["fe80::1%eth0", "febf::1"], ["fec0::1"]],
    ["::/0", ["::1", "2001:db8::1"], ["1.2.3.4", "::ffff:1.2.3.4"]],
    ["::ffff:10.0.0.0/104", ["10.9.9.9"], ["11.0.0.0"]],
    ["unix", ["unix"], ["127.0.0.1", "::1", "", "Unix"]],
  ];
  for (const [text, inside, outside] of cases) {
    test(`${text} holds its addresses and no others`, () => {
      for (const address of inside) assert.ok(includesAddress(networks(text), address), address);
      for (const address of outside) assert.ok(!includesAddress(networks(text), address), address);
    });
  }

  test("one of several is enough, and none holds nothing", () => {
    const list = networks("10.0.0.0/8", "unix", "::1");
    for (const address of ["10.0.0.1", "unix", "::1"]) assert.ok(includesAddress(list, address));
    assert.ok(!includesAddress([], "10.0.0.1"));
    assert.ok(!includesAddress(list, "localhost"));
  });
});

describe("parseNetwork", () => {
  const refused: [string, RegExp][] = [
    ["", /an IP address, a network/],
    ["localhost", /an IP address, a network/],
    ["10.0.0/8", /an IP address/],
    ["10.0.0.0.0", /an IP address/],
    ["010.0.0.0/8", /an IP address/],
    ["256.0.0.0/8", /an IP address/],
    [" 10.0.0.0/8", /an IP address/],
    ["[::1]", /an IP address/],
    ["fe80::1%eth0", /an IP address/],
    ["10.0.0.0/", /prefix of 0 to 32/],
    ["10.0.0.0/33", /prefix of 0 to 32/],
    ["10.0.0.0/08", /prefix of 0 to 32/],
    ["10.0.0.0/8/8", /prefix of 0 to 32/],
    ["10.0.0.0/255.0.0.0", /prefix of 0 to 32/],
    ["::/129", /prefix of 0 to 128/],
    ["10.0.0.5/8", /such as 10\.0\.0\.0\/8/],
    ["2001:db8::1/32", /such as 2001:db8::\/32/],
    ["::ffff:0:0/95", /prefix of 96 to 128/],
  ];
  for (const [text, expected] of refused) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      const answer = parseNetwork(text);
      assert.ok(answer !== "unix" && "expected" in answer, JSON.stringify(answer));
      assert.match(answer.expected, expected);
    });
  }
});

describe("addressText and addressBytes", () => {
  const canonical: [string, string][] = [
    ["1.2.3.4", "1.2.3.4"],
    ["::ffff:1.2.3.4", "1.2.3.4"],
    ["::FFFF:102:304", "1.2.3.4"],
    ["2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["1:0:0:0:0:0:0:0", "1::"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ];
  for (const [text, expected] of canonical) {
    test(`RFC 5952: ${text} is shown as ${expected}`, () => {
      const bytes = addressBytes(text);
      assert.ok(bytes !== undefined);
      assert.equal(addressText(bytes), expected);
    });
  }

  test("a mapped address of 16 bytes is shown as IPv4", () => {
    assert.equal(addressText(hex("00000000 00000000 0000ffff 01020304")), "1.2.3.4");
  });

  for (const text of [":", ":::", "1:", ":1", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4::5:6:7:8", "12345::", "g::", "1.2.3.4::", "::1.2.3", "::1.2.3.04", "::1.2.3.4:5", "1.2.3.4:80", "::1\n", "1.2.3.4\n", "0x1.2.3.4", "1..2.3", "::" + "0".repeat(60)]) {
    test(`${JSON.stringify(text)} is no address`, () => assert.equal(addressBytes(text), undefined));
  }

  test("what the one writes the other reads; random texts are judged as the runtime judges them", () => seeded((random) => {
    for (let round = 0; round < 5_000; round++) {
      const bytes = random.bytes(random.pick([4, 16])).map((byte) => (random.chance(0.5) ? 0 : byte));
      const text = addressText(bytes);
      assert.notEqual(isIP(text), 0, text);
      assert.equal(addressText(addressBytes(text) as Uint8Array), text);
      const letters = Array.from({ length: random.integer(1, 12) }, () => random.pick(["0", "1", "ff", ":", ":", "::", ".", "255", "g"]));
      const wild = letters.join("");
      assert.equal(addressBytes(wild) !== undefined, isIP(wild) !== 0, wild);
    }
  }));
});
