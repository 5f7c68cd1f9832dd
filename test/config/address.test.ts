import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseAddress, redact } from "../../src/config/address.ts";
import { hostAndPort } from "../../src/runtime/address.ts";

describe("parseAddress", () => {
  const accepted: [string, object][] = [
    ["broker", { scheme: "mqtt", host: "broker", port: 1883 }],
    ["Broker.Example:1884", { host: "broker.example", port: 1884 }],
    ["mqtts://broker", { scheme: "mqtts", port: 8883 }],
    ["MQTTS://broker/", { scheme: "mqtts", host: "broker" }],
    [":1883", { host: undefined, port: 1883 }],
    ["mqtt://:0", { host: undefined, port: 0 }],
    ["mqtt://[::1]", { host: "::1", port: 1883 }],
    ["[fe80::1%eth0]:9", { host: "fe80::1%eth0", port: 9 }],
    ["mqtt://10.0.0.5:1", { host: "10.0.0.5", port: 1 }],
    ["mqtt://user@h", { username: "user", password: undefined }],
    ["mqtt://us%40er:p%3Aw%2F@h", { username: "us@er", password: "p:w/" }],
    ["user:a@b:c@h:5", { username: "user", password: "a@b:c", host: "h", port: 5 }],
    ["u:@h", { username: "u", password: "" }],
    ["ws://h", { scheme: "ws", port: 80, path: undefined }],
    ["wss://h/a/b", { scheme: "wss", port: 443, path: "/a/b" }],
    ["wss://u:p@h/mqtt?token=1", { path: "/mqtt?token=1", username: "u" }],
    ["ws://u:p@h:80/a@b", { path: "/a@b", username: "u", password: "p" }],
    ["any://:443/ws", { scheme: "any", host: undefined, path: "/ws" }],
    ["unix:///run/sluice.sock", { scheme: "mqtt", unixPath: "/run/sluice.sock", host: undefined }],
    ["wss+unix:///run/s.sock", { scheme: "wss", unixPath: "/run/s.sock" }],
    ["mqtts+systemd://tls", { scheme: "mqtts", systemdName: "tls" }],
    ["systemd://", { scheme: "mqtt", systemdName: "" }],
  ];
  for (const [text, expected] of accepted) {
    test(`reads ${text}`, () => {
      const address = parseAddress(text, text.includes("@") ? "broker" : "listener") as unknown as Record<string, unknown>;
      for (const [key, value] of Object.entries(expected)) assert.equal(address[key], value, `${key} of ${JSON.stringify(address)}`);
    });
  }

  const refused: [string, RegExp][] = [
    ["", /a host, a port or both/],
    ["mqtt://", /a host, a port or both/],
    ["amqp://h", /mqtt:\/\/, mqtts:\/\//],
    ["https://h", /for https:\/\/ write wss/],
    ["tcp://h", /for tcp:\/\/ write mqtt/],
    ["ssl://h", /write mqtts/],
    ["ws://h/mqtt?x=1", /no query/],
    ["ws://h/m\u00fc", /printable ASCII/],
    ["unix://relative", /absolute path/],
    [`unix:///${"x".repeat(107)}`, /107 bytes/],
    ["amqp+unix:///s", /mqtt:\/\//],
    ["systemd://a/b", /FileDescriptorName/],
    ["::1", /brackets/],
    ["mqtt://fe80::1:1883", /brackets/],
    ["[zz]:1", /host name or an IP/],
    ["h:", /port/],
    ["h:65536", /port from 1 to 65535/],
    ["h:18a3", /port/],
    ["h:-1", /port/],
    ["h:1e3", /port/],
    ["mqtt://u:pa#ss@h", /%23, %2F and %3F/],
    ["mqtt://u:12/34@h:1883", /%2F/],
    ["u:pa?ss@h", /%3F/],
    ["ws://u:pa/ss@h/mqtt", /%2F/],
    ["ws://u:12#34@h/mqtt", /%23/],
    ["unix:/run/s.sock", /two slashes .* unix:\/\/\//],
    ["mqtt:/h", /two slashes .* mqtt:\/\/host/],
    ["mqtt:/u:secret@h", /two slashes/],
    ["mqt://h", /did you mean mqtt:\/\/\?/],
    ["unx:///run/s.sock", /did you mean unix:\/\/\?/],
    ["mqtt://h/topic", /no path/],
    ["mqtt://h:1?x=1", /no path/],
    ["mqtt://*:1883", /every address/],
    ["mqtt://a b:1", /host name/],
    ["mqtt://:pw@h", /user name/],
    ["mqtt://u:%zz@h", /percent-encoding/],
    ["h\n:1883", /host/],
  ];
  for (const [text, expected] of refused) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      const answer = parseAddress(text, text.includes("@") ? "broker" : "listener");
      assert.ok("expected" in answer, JSON.stringify(answer));
      assert.match(answer.expected, expected);
      assert.doesNotMatch(answer.expected, /secret|pa.ss|34/);
    });
  }
});

describe("redact", () => {
  for (const text of ["mqtt://u:secret@h", "u:secret@h:1883", "mqtt://u:sec:ret@x@h", "mqtt://u:my secret@h", "mqtt:/u:secret@h", "x://u:se/cret?@h/p", "mqtt://u:secret\n@h"]) {
    test(`hides the password in ${JSON.stringify(text)}`, () => {
      assert.doesNotMatch(redact(text), /sec|ret/);
      assert.match(redact(text), /\*\*\*@/);
    });
  }
  test("leaves other addresses alone", () => {
    for (const text of ["mqtt://h:1883", "u@h:1883", "[::1]:1883", ""]) assert.equal(redact(text), text);
  });
});

test("hostAndPort writes brackets around IPv6", () => {
  assert.deepEqual([hostAndPort("::1", 1), hostAndPort("h", 2), hostAndPort(undefined, 3)], ["[::1]:1", "h:2", ":3"]);
});
