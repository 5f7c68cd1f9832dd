import { describe, test } from "node:test";
import type { Runtime } from "../../src/runtime/types.ts";
import { findProgram } from "../support/needs.ts";
import { certificateCases } from "./certificate_cases.ts";
import { closeCases } from "./close_cases.ts";
import { dialCases, trustCases } from "./dial_cases.ts";
import { floodCases } from "./flood_cases.ts";
import { fuzzCases } from "./fuzz_cases.ts";
import type { Gap } from "./gaps.ts";
import type { Case } from "./lab.ts";
import { leakCases } from "./leak_cases.ts";
import { handshakeCases, listenCases } from "./listen_cases.ts";
import { secureClientCases } from "./secure_client_cases.ts";
import { secureCases } from "./secure_cases.ts";
import { sessionCases } from "./session_cases.ts";
import { streamCases } from "./stream_cases.ts";
import { secureUnixCases, unixCases } from "./unix_cases.ts";

const everywhere: readonly Case[] = [...streamCases, ...closeCases, ...dialCases, ...listenCases, ...leakCases, ...fuzzCases];
const secureOnly: readonly Case[] = [...trustCases, ...handshakeCases];
const startedOnly: readonly Case[] = [...secureCases, ...secureClientCases, ...certificateCases, ...sessionCases, ...floodCases, ...secureUnixCases];

/** The one list that every adapter has to pass, on every runtime that it is for. */
export function conformance(name: string, runtime: Runtime, gaps: readonly Gap[]): void {
  for (const { secure, starts } of [{ secure: false, starts: false }, { secure: true, starts: false }, { secure: true, starts: true }]) {
    const cases = [
      ...everywhere,
      ...(secure ? secureOnly.filter(({ name }) => !starts || !isTheListeners(name)) : unixCases),
      ...(starts ? startedOnly : []),
    ];
    describe(`${name} on ${runtime.name}, ${starts ? "TLS begun by hand" : secure ? "TLS" : "TCP"}`, () => {
      for (const one of cases) {
        const gap = gaps.find((it) => it.case.test(one.name) && (it.secure ?? secure) === secure);
        const missing = one.needs !== undefined && findProgram(one.needs) === undefined;
        if (missing) test(`${one.name} (${one.needs} is not installed)`, { skip: `${one.needs} is not installed` }, () => {});
        else if (gap === undefined) test(one.name, { timeout: 60_000 }, () => one.run({ runtime, secure, starts }));
        else test(`${one.name} (gap: ${gap.reason})`, { skip: gap.reason }, () => {});
      }
    });
  }
}

/** The owner of a handshake that it began itself gives it up itself. */
const isTheListeners = (name: string): boolean => /a listener that closes gives up/.test(name);
