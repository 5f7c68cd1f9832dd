import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { findByServerName, matchesServerName, serverNamePattern } from "../../../src/transport/tls_hello/server_name.ts";

describe("serverNamePattern", () => {
  const patterns: [string, string | undefined][] = [
    ["Broker.Example.", "broker.example"],
    ["*.Example.com", "*.example.com"],
    ["localhost", "localhost"],
    ["*.localhost", "*.localhost"],
    ["*", undefined],
    ["*.", undefined],
    ["*.*.example", undefined],
    ["a*.example", undefined],
    ["*a.example", undefined],
    ["a.*.example", undefined],
    ["10.0.0.1", undefined],
    ["::1", undefined],
    ["*.10.0.0.1", undefined],
    ["user@example.com", undefined],
    ["a b", undefined],
    ["a\0.example", undefined],
    ["", undefined],
    ["a".repeat(64), undefined],
    ["a.".repeat(129), undefined],
  ];
  for (const [text, expected] of patterns) {
    test(`${JSON.stringify(text.slice(0, 30))} is ${expected ?? "none"}`, () => assert.equal(serverNamePattern(text), expected));
  }
});

describe("matchesServerName (RFC 9525 section 6.3)", () => {
  const cases: [pattern: string, matches: readonly string[], others: readonly string[]][] = [
    ["broker.example", ["broker.example"], ["a.broker.example", "example", "xbroker.example"]],
    ["*.example", ["a.example", "xn--bcher-kva.example"], ["example", "a.b.example", "a.example.com", "*"]],
    ["*.b.example", ["a.b.example"], ["b.example", "a.c.example"]],
  ];
  for (const [pattern, matches, others] of cases) {
    test(pattern, () => {
      for (const name of matches) assert.ok(matchesServerName(pattern, name), name);
      for (const name of others) assert.ok(!matchesServerName(pattern, name), name);
    });
  }
});

describe("findByServerName", () => {
  const byPattern = new Map([["a.example", 1], ["*.example", 2], ["*.a.example", 3], ["localhost", 4]]);
  const cases: [string, number | undefined][] = [
    ["a.example", 1],
    ["b.example", 2],
    ["b.a.example", 3],
    ["c.b.a.example", undefined],
    ["example", undefined],
    ["localhost", 4],
    ["other", undefined],
    ["__proto__", undefined],
    ["constructor", undefined],
  ];
  for (const [name, expected] of cases) {
    test(`${name}: ${expected ?? "none"}`, () => assert.equal(findByServerName(byPattern, name), expected));
  }
});
