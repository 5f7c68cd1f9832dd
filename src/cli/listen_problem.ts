import type { Loaded } from "../config/load.ts";
import type { NetworkError } from "../runtime/types.ts";
import type { ListenFailure } from "../server/types.ts";
import { reasonOf, type Problem } from "./report.ts";

/** A listener that could not have its address, with what to do about it. */
export async function listenProblem(loaded: Loaded, { listener, address, error }: ListenFailure): Promise<Problem> {
  const index = loaded.configuration.listeners.findIndex((each) => each.name === listener);
  const [located] = await loaded.locate([{ place: "configuration", path: ["listeners", index, "listen"], reason: "", suggestion: undefined, exit: 78 }]);
  const port = loaded.configuration.listeners[index]?.port ?? 0;
  const words = WORDS[error.code]?.(port);
  return {
    place: located?.place ?? "configuration",
    reason: `cannot listen on "${address}": ${words?.reason ?? reasonOf(error)}`,
    suggestion: words?.suggestion,
  };
}

const WORDS: Partial<Record<NetworkError["code"], (port: number) => { reason: string; suggestion: string }>> = {
  address_in_use: (port) => ({
    reason: "another program has it",
    suggestion: `stop that program (ss -ltnp "sport = :${port}" names it), or listen on another port, such as ${port === 65535 ? port - 1 : port + 1}`,
  }),
  denied: (port) => port < 1024
    ? { reason: "permission denied", suggestion: "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE: listen on 1024 or above, or give it" }
    : { reason: "permission denied", suggestion: "see what the system or its sandbox allows" },
  name_not_found: () => ({ reason: "no such name", suggestion: "name an address of this machine, or none for every address" }),
  unreachable: () => ({ reason: "not an address of this machine", suggestion: "name an address of this machine, or none for every address" }),
};
