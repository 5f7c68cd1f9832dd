import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseServiceUrl } from "../../../src/policy/authentication/service_url.ts";

describe("parseServiceUrl", () => {
  const safe = ["https://auth.example/check?key=1", "https://10.0.0.5:8443", "http://localhost:8080/", "http://127.0.0.1", "http://127.1.2.3:1/x", "http://[::1]:80/x", "http://2130706433/", "http://LOCALHOST/"];
  for (const text of safe) {
    test(`takes ${text}`, () => assert.ok(parseServiceUrl(text, { plainHttp: false }) instanceof URL));
  }

  const refused: [text: string, expected: RegExp][] = [
    ["", /a URL such as/],
    ["auth.example/check", /a URL such as/],
    ["http://", /a URL such as/],
    ["ftp://localhost/x", /https:\/\/ in front/],
    ["file:///etc/passwd", /https:\/\/ in front/],
    ["javascript:1", /https:\/\/ in front/],
    ["https://user:secret@auth.example/", /into a header/],
    ["https://:secret@auth.example/", /into a header/],
    ["http://10.0.0.5/", /to this very machine/],
    ["http://localhost.example/", /to this very machine/],
    ["http://127.0.0.1.example/", /to this very machine/],
    ["http://[::2]/", /to this very machine/],
    ["http://0.0.0.0/", /to this very machine/],
  ];
  for (const [text, expected] of refused) {
    test(`refuses ${JSON.stringify(text)} and does not repeat it`, () => {
      const fault = parseServiceUrl(text, { plainHttp: false });
      assert.ok("expected" in fault);
      assert.match(fault.expected, expected);
      assert.ok(!fault.expected.includes("secret"));
    });
  }

  test("plain HTTP goes anywhere when it was chosen", () => {
    assert.ok(parseServiceUrl("http://auth.cluster.local:8080/check", { plainHttp: true }) instanceof URL);
    assert.ok("expected" in parseServiceUrl("ftp://auth.cluster.local", { plainHttp: true }));
  });
});
