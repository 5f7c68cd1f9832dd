import { describe, test } from "node:test";
import type { Runtime } from "../../src/runtime/types.ts";
import { findProgram } from "../support/needs.ts";
import { certificateCases } from "./certificate_cases.ts";
import { closeCases } from "./close_cases.ts";
import { dialCases } from "./dial_cases.ts";
import { floodCases } from "./flood_cases.ts";
import { fuzzCases } from "./fuzz_cases.ts";
import type { Gap } from "./gaps.ts";
import type { Case, Lab } from "./lab.ts";
import { leakCases } from "./leak_cases.ts";
import { listenCases } from "./listen_cases.ts";
import { secureClientCases } from "./secure_client_cases.ts";
import { secureCases } from "./secure_cases.ts";
import { sessionCases } from "./session_cases.ts";
import { streamCases } from "./stream_cases.ts";
import { tlsInside } from "./tls_inside.ts";
import { secureUnixCases, unixCases } from "./unix_cases.ts";

const everywhere: readonly Case[] = [...streamCases, ...closeCases, ...dialCases, ...listenCases, ...leakCases, ...fuzzCases];
const secureOnly: readonly Case[] = [
  ...secureCases, ...secureClientCases, ...certificateCases, ...sessionCases, ...floodCases, ...secureUnixCases,
];

/** The one list that every adapter has to pass, on every runtime that it is for. */
export function conformance(name: string, runtime: Runtime, gaps: readonly Gap[]): void {
  for (const secure of [false, true]) {
    const cases = [...everywhere, ...(secure ? secureOnly : unixCases)];
    const lab: Lab = secure ? { runtime: tlsInside(runtime), secure, below: runtime } : { runtime, secure };
    describe(`${name} on ${runtime.name}, ${secure ? "TLS" : "TCP"}`, () => {
      for (const one of cases) {
        const gap = gaps.find((it) => it.case.test(one.name) && (it.secure ?? secure) === secure);
        const missing = one.needs !== undefined && findProgram(one.needs) === undefined;
        if (missing) test(`${one.name} (${one.needs} is not installed)`, { skip: `${one.needs} is not installed` }, () => {});
        else if (gap === undefined) test(one.name, { timeout: 60_000 }, () => one.run(lab));
        else test(`${one.name} (gap: ${gap.reason})`, { skip: gap.reason }, () => {});
      }
    });
  }
}
