import { describe, test } from "node:test";
import { runtime } from "#runtime";
import { closeCases } from "../../runtime/close_cases.ts";
import { fuzzCases } from "../../runtime/fuzz_cases.ts";
import { nativeGaps } from "../../runtime/gaps.ts";
import { leakCases } from "../../runtime/leak_cases.ts";
import { streamCases } from "../../runtime/stream_cases.ts";
import { tlsInside } from "../../runtime/tls_inside.ts";
import { overWebSocket } from "./over_websocket.ts";

/** Their peer is a bare socket that asks for no upgrade, or they look at the server before there can have been one. */
const NOT_FOR_US = /^RST while paused|^a throw in opened/;
const cases = [...streamCases, ...closeCases, ...fuzzCases, ...leakCases].filter((one) => !NOT_FOR_US.test(one.name));

// The conformance list of the runtimes, where it is about connections: a WebSocket one is no different from TCP.
for (const secure of [false, true]) {
  describe(`WebSocket on ${runtime.name} over ${secure ? "TLS" : "TCP"}`, () => {
    for (const one of cases) {
      const gap = nativeGaps[runtime.name].find((it) => it.case.test(one.name) && (it.secure ?? secure) === secure);
      const body = () => one.run({ runtime: overWebSocket(secure ? tlsInside(runtime) : runtime), secure });
      if (gap === undefined) test(one.name, { timeout: 60_000 }, body);
      else test(`${one.name} (gap: ${gap.reason})`, { skip: gap.reason }, () => {});
    }
  });
}
