import type { Loaded } from "../config/load.ts";
import type { ListenerConfig } from "../config/types.ts";
import { isAddress } from "../runtime/address.ts";
import type { NetworkError } from "../runtime/types.ts";
import type { ListenFailure } from "../server/types.ts";
import { EXIT } from "./exit_codes.ts";
import { reasonOf, type Problem } from "./report.ts";

/** A listener that could not have its address, with what to do about it. */
export async function listenProblem(loaded: Loaded, command: "run" | "check", { listener, address, error }: ListenFailure): Promise<Problem> {
  const { listeners } = loaded.configuration;
  const index = listeners.findIndex((each) => each.name === listener);
  const [located] = await loaded.locate([{ place: "configuration", path: ["listeners", index, error.code === "tls" ? "tls" : "listen"], reason: "", suggestion: undefined, exit: 78 }]);
  const own = listeners[index];
  const twin = error.code === "address_in_use" && own && listeners.slice(0, index).find((other) => overlap(own, other));
  const words = twin ? twinWords(twin) : own?.unixPath !== undefined ? unixWords(error) : WORDS[error.code]?.(own?.port ?? 0, command);
  return {
    place: located?.place ?? "configuration",
    reason: error.code === "tls" ? `cannot use the certificates of listener "${listener}": ${reasonOf(error)}` : `cannot listen on "${address}": ${words?.reason ?? reasonOf(error)}`,
    suggestion: words?.suggestion,
  };
}

/** What is wrong with a certificate is found in files, and not met on the machine. */
export function listenExit({ code }: NetworkError): number {
  return code === "tls" ? EXIT.config : EXIT.system;
}

/** Whether both cannot be had together: the listeners are opened one after the other. A name may stand for any address; without one, they were refused before. */
function overlap(own: ListenerConfig, other: ListenerConfig): boolean {
  if (own.port !== other.port || own.port === 0) return false;
  const areDifferent = isOne(own.host) && isOne(other.host) && own.host !== other.host;
  return !areDifferent;
}

function isOne(host: string | undefined): boolean {
  return host !== undefined && isAddress(host) && host !== "0.0.0.0" && host !== "::";
}

interface Words {
  readonly reason: string;
  readonly suggestion: string;
}

const twinWords = ({ name }: ListenerConfig): Words => ({
  reason: `the listener "${name}" of this configuration has it`,
  suggestion: "remove one of the two, or give it another port",
});

/** What is known of a unix socket stands in the runtime's own words: a file in the way, or somebody who listens behind it. */
function unixWords(error: NetworkError): Words | undefined {
  const reason = reasonOf(error);
  if (error.code === "denied") return { reason, suggestion: "see who may write to the directory of the socket" };
  if (error.code !== "address_in_use") return undefined;
  if (/file/.test(reason)) return { reason, suggestion: "remove it, or listen on another path" };
  return { reason: "another program has it", suggestion: "stop that program (ss -lxp lists unix sockets and who has them), or listen on another path" };
}

const WORDS: Partial<Record<NetworkError["code"], (port: number, command: "run" | "check") => Words>> = {
  address_in_use: (port, command) => {
    const stop = `stop that program (ss -ltnp "sport = :${port}" names it), or listen on another port, such as ${port === 65535 ? port - 1 : port + 1}`;
    return { reason: "another program has it", suggestion: command === "run" ? stop : `as it should be if that is sluice itself, running; otherwise ${stop}` };
  },
  denied: (port) => port < 1024
    ? { reason: "permission denied", suggestion: "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE: listen on 1024 or above, or give it" }
    : { reason: "permission denied", suggestion: "see what the system or its sandbox allows" },
  name_not_found: () => ({ reason: "no such name", suggestion: "name an address of this machine, or none for every address" }),
  unreachable: () => ({ reason: "not an address of this machine", suggestion: "name an address of this machine, or none for every address" }),
};
