import { suggest } from "../lib/suggest.ts";
import { hostAndPort } from "../runtime/address.ts";
import type { Address } from "./address.ts";
import { pathText, type Finding, type KeyPath } from "./problem.ts";
import type { ParsedInput } from "./schema.ts";
import type { BrokerConfig, Configuration, Limits, ListenerConfig, PoolConfig } from "./types.ts";

/** What MQTT's remaining length can say, and the largest fixed header: four bytes more than the "256MiB" that stands for it. */
const PROTOCOL_PACKET_MAX = 268_435_455 + 5;

type ParsedPool = ParsedInput["pools"][string];
type ParsedListener = ParsedInput["listeners"][number];
type Refuse = (path: KeyPath, reason: string, suggestion?: string) => void;

/** What a schema cannot say: names that must exist, things that must fit each other. */
export function checkMeaning(input: ParsedInput): { configuration?: Configuration; findings: Finding[] } {
  const findings: Finding[] = [];
  const refuse: Refuse = (path, reason, suggestion) => void findings.push({ path, reason, suggestion });
  const limits = resolveLimits(input.limits, refuse);
  const pools = Object.entries(input.pools).map(([name, pool]) => resolvePool(name, pool, refuse));
  if (pools.length === 0) {
    refuse([], "no pool of brokers: there is nowhere to send clients to", 'add [pools.default] with brokers = ["mqtt://host"]');
  }
  const poolNames = pools.map((pool) => pool.name);
  const listeners = input.listeners.map((entry, index) => resolveListener(entry, ["listeners", index], poolNames, refuse));
  refuseTwins(listeners, input.listeners, refuse);
  return findings.length > 0 ? { findings } : { findings, configuration: { log: input.log, limits, listeners, pools } };
}

function resolveLimits(input: ParsedInput["limits"], refuse: Refuse): Limits {
  const packetSizeMax = input.packet_size_max === 256 * 1_048_576 ? PROTOCOL_PACKET_MAX : input.packet_size_max;
  if (input.connect_size_max > packetSizeMax) {
    const reason = `limits.connect_size_max is ${input.connect_size_max} bytes: expected no more than limits.packet_size_max`;
    refuse(["limits", "connect_size_max"], `${reason}, which is ${packetSizeMax}`);
  }
  return {
    connectionsMax: input.connections_max,
    connectTimeoutMs: input.connect_timeout,
    connectSizeMax: input.connect_size_max,
    packetSizeMax,
    handshakeTimeoutMs: input.handshake_timeout,
    dialTimeoutMs: input.dial_timeout,
    answerTimeoutMs: input.answer_timeout,
    bufferSizeMax: input.buffer_size_max,
    stallTimeoutMs: input.stall_timeout,
    drainTimeoutMs: input.drain_timeout,
  };
}

function resolvePool(name: string, input: ParsedPool, refuse: Refuse): PoolConfig {
  const path: KeyPath = ["pools", name];
  if (!/^[\w.-]{1,64}$/.test(name)) {
    refuse(path, `cannot use ${pathText([name])} as the name of a pool: expected 1 to 64 letters, digits, "_", "-" or "."`);
  }
  const seen = new Set<string>();
  const brokers = input.brokers.map((entry, index): BrokerConfig => {
    const at = [...path, "brokers", index];
    const broker = resolveBroker(entry, at, refuse);
    if (seen.has(broker.name)) refuse(at, `broker "${broker.name}" is in ${pathText(path)} twice`, "give it a weight instead");
    seen.add(broker.name);
    return broker;
  });
  const { ca: caFile, insecure } = input.tls;
  if ((caFile !== undefined || insecure) && !brokers.some((broker) => broker.scheme === "mqtts")) {
    const reason = `${pathText([...path, "tls"])} has no effect: expected at least one mqtts:// broker in the pool`;
    refuse([...path, "tls"], reason, "write mqtts:// in front of the broker, or remove it");
  }
  return { name, balance: input.balance, brokers, tls: { caFile, insecure } };
}

function resolveBroker(entry: ParsedPool["brokers"][number], path: KeyPath, refuse: Refuse): BrokerConfig {
  const address: Address = "url" in entry ? entry.url : entry;
  const { weight, password_file: passwordFile } = "url" in entry ? entry : { weight: 1, password_file: undefined };
  const at = [...path, "password_file"];
  // [MQTT-3.1.2-22]: no password without a user name.
  if (passwordFile !== undefined && address.username === undefined) {
    refuse(at, `${pathText(at)} is given without a user: expected one in the URL`, "write mqtt://user@host");
  } else if (passwordFile !== undefined && address.password !== undefined) {
    refuse(at, `${pathText(at)} is given beside a password in the URL: expected one of the two`);
  }
  const host = address.host ?? "";
  return { ...address, host, name: hostAndPort(host, address.port), weight, passwordFile };
}

function resolveListener(entry: ParsedListener, path: KeyPath, poolNames: readonly string[], refuse: Refuse): ListenerConfig {
  const { scheme, host, port } = entry.listen;
  const url = `${scheme}://${hostAndPort(host, port)}`;
  const name = entry.name ?? url;
  if (scheme === "mqtts" && !entry.tls) {
    const suggestion = 'add tls = { cert = "cert.pem", key = "key.pem" } (flags: --cert and --key), or listen on mqtt://';
    refuse([...path, "listen"], `listener "${name}" has no certificate: expected tls with cert and key`, suggestion);
  }
  if (scheme === "mqtt" && entry.tls) {
    const suggestion = `listen on "mqtts://${hostAndPort(host, port)}", or remove tls`;
    refuse([...path, "tls"], `listener "${name}" has tls, but its URL says mqtt://`, suggestion);
  }
  const tls = entry.tls && { certFile: entry.tls.cert, keyFile: entry.tls.key };
  return { name, scheme, host, port, tls, pool: resolvePoolName(entry.pool, [...path, "pool"], poolNames, refuse) };
}

function resolvePoolName(name: string | undefined, path: KeyPath, poolNames: readonly string[], refuse: Refuse): string {
  const chosen = name ?? (poolNames.length === 1 ? poolNames[0]! : "default");
  if (poolNames.length === 0 || poolNames.includes(chosen)) return chosen;
  if (name === undefined) {
    const reason = `${pathText(path)} is missing: there are several pools, and none is called "default"`;
    refuse(path.slice(0, -1), reason, `add pool = ${JSON.stringify(poolNames[0])}`);
  } else {
    const near = suggest(name, poolNames);
    const reason = `cannot use ${JSON.stringify(name)} as ${pathText(path)}: expected a pool that exists (${poolNames.join(", ")})`;
    refuse(path, reason, near && `did you mean ${JSON.stringify(near)}?`);
  }
  return chosen;
}

/** Listeners of one address or one name. Port 0 asks for any free port: two of them are two. */
function refuseTwins(listeners: readonly ListenerConfig[], entries: readonly ParsedListener[], refuse: Refuse): void {
  if (listeners.length === 0) {
    refuse(["listeners"], "the list of listeners is empty: expected at least one", "remove it to listen on mqtt://:1883");
  }
  const names = new Set<string>();
  const addresses = new Set<string>();
  for (const [index, { name, host, port }] of listeners.entries()) {
    const address = hostAndPort(host, port);
    if (port !== 0 && addresses.has(address)) {
      refuse(["listeners", index, "listen"], `address "${address}" is used by two listeners`);
    } else if (names.has(name)) {
      const key = entries[index]?.name === undefined ? "listen" : "name";
      refuse(["listeners", index, key], `listener "${name}" exists twice`, "give each a name of its own");
    }
    addresses.add(address);
    names.add(name);
  }
}
