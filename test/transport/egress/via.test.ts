import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseVia } from "../../../src/transport/egress/via.ts";

describe("parseVia", () => {
  const nobody = { username: undefined, password: undefined };
  const accepted: [text: string, via: object][] = [
    ["http://proxy:3128", { scheme: "http", host: "proxy", port: 3_128, ...nobody }],
    ["HTTP://Proxy.Example:8080/", { scheme: "http", host: "proxy.example", port: 8_080, ...nobody }],
    ["socks5://10.0.0.1", { scheme: "socks5", host: "10.0.0.1", port: 1_080, ...nobody }],
    ["socks5://[::1]:9050", { scheme: "socks5", host: "::1", port: 9_050, ...nobody }],
    ["http://user:p%40ss@proxy:1", { scheme: "http", host: "proxy", port: 1, username: "user", password: "p@ss" }],
    ["http://user@proxy:1", { scheme: "http", host: "proxy", port: 1, username: "user", password: undefined }],
    ["http://user:a:b@c@proxy:1", { scheme: "http", host: "proxy", port: 1, username: "user", password: "a:b@c" }],
    ["socks5://%C3%BCser:pw@proxy:65535", { scheme: "socks5", host: "proxy", port: 65_535, username: "üser", password: "pw" }],
  ];
  for (const [text, via] of accepted) test(`reads ${text}`, () => assert.deepEqual(parseVia(text), via));

  const refused: [text: string, RegExp][] = [
    ["", /http:\/\/\[user:password@\]host:port/],
    ["proxy:3128", /http:\/\//],
    ["https://user:s3cret@proxy:443", /http:\/\//],
    ["socks4://proxy", /socks5:\/\//],
    ["socks5h://user:s3cret@proxy", /for socks5h:\/\/ write socks5:\/\//],
    ["http://user:s3cret@proxy", /a port behind the host/],
    ["http://user:s3cret@proxy:0", /port from 1 to 65535/],
    ["http://user:s3cret@proxy:65536", /port from 1 to 65535/],
    ["http://proxy:1/path", /http:\/\//],
    ["http://user:s3cret@pro xy:1", /http:\/\//],
    ["http://user:s3cret@proxy\n:1", /http:\/\//],
    ["http://:s3cret@proxy:1", /user name in front/],
    ["http://user:s3cret%zz@proxy:1", /percent-encoding/],
    ["http://us%3Aer:s3cret@proxy:1", /no colon in the user name/],
    ["http://user:s3cret%0d%0a@proxy:1", /no control characters/],
    ["socks5://user@proxy", /1 to 255 bytes/],
    ["socks5://user:@proxy", /1 to 255 bytes/],
    [`socks5://user:${"s3cret".repeat(43)}@proxy`, /1 to 255 bytes/],
  ];
  for (const [text, expected] of refused) {
    test(`refuses ${JSON.stringify(text.slice(0, 40))} without telling its credentials (A10)`, () => {
      const answer = parseVia(text);
      assert.ok("expected" in answer, JSON.stringify(answer));
      assert.match(answer.expected, expected);
      assert.doesNotMatch(answer.expected, /s3cret/);
    });
  }
});
