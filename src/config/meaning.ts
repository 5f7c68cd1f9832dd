import { resolveAuthentication } from "./meaning_authentication.ts";
import { refuseUnknowable } from "./meaning_connect.ts";
import { resolveListener } from "./meaning_listener.ts";
import { resolvePool } from "./meaning_pool.ts";
import { resolvePoolName, resolveRoute, type Refuse } from "./meaning_route.ts";
import type { Finding } from "./problem.ts";
import { isAddress } from "../runtime/address.ts";
import { placeOf } from "./address.ts";
import type { ParsedInput } from "./schema.ts";
import type { BrokerConfig, Configuration, Limits, ListenerConfig, PoolConfig } from "./types.ts";

/** What MQTT's remaining length can say, and the largest fixed header: four bytes more than the "256MiB" that stands for it. */
const PROTOCOL_PACKET_MAX = 268_435_455 + 5;

type ParsedListener = ParsedInput["listeners"][number];

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
  const listeners = input.listeners.map((entry, index) => {
    const path = ["listeners", index];
    return resolveListener(entry, path, resolvePoolName(entry.pool, [...path, "pool"], poolNames, refuse), refuse);
  });
  refuseTwins(listeners, input.listeners, refuse);
  refuseTlsInTls(listeners, pools, refuse);
  refuseLoops(listeners, pools, refuse);
  const routes = input.routes.map((entry, index) => resolveRoute(entry, ["routes", index], { poolNames, listeners }, refuse));
  const authentication = input.authentication && resolveAuthentication(input.authentication, listeners, refuse);
  refuseUnknowable(pools, { listeners, authentication }, refuse);
  return findings.length > 0 ? { findings } : { findings, configuration: { log: input.log, limits, listeners, ...(authentication && { authentication }), routes, pools } };
}

function resolveLimits(input: ParsedInput["limits"], refuse: Refuse): Limits {
  const packetSizeMax = input.packet_size_max === 256 * 1_048_576 ? PROTOCOL_PACKET_MAX : input.packet_size_max;
  if (input.connect_size_max > packetSizeMax) {
    const reason = `limits.connect_size_max is ${input.connect_size_max} bytes: expected no more than limits.packet_size_max`;
    refuse(["limits", "connect_size_max"], `${reason}, which is ${packetSizeMax}`);
  }
  const { keep_alive_max: keepAliveMaxMs } = input;
  if (keepAliveMaxMs !== undefined && (keepAliveMaxMs % 1_000 !== 0 || keepAliveMaxMs > 65_535_000)) {
    refuse(["limits", "keep_alive_max"], "cannot use limits.keep_alive_max: expected whole seconds, at most \"65535s\"");
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
    ...(input.connections_per_address_max !== undefined && { connectionsPerAddressMax: input.connections_per_address_max }),
    ...(input.connections_per_username_max !== undefined && { connectionsPerUsernameMax: input.connections_per_username_max }),
    ...(input.connect_rate_per_address && { connectRatePerAddress: input.connect_rate_per_address }),
    ...(keepAliveMaxMs !== undefined && { keepAliveMaxSeconds: keepAliveMaxMs / 1_000 }),
    ...(input.session_length_max !== undefined && { sessionLengthMaxMs: input.session_length_max }),
  };
}

/** Where clients and brokers do TLS with each other, sluice is not to do it as well. */
function refuseTlsInTls(listeners: readonly ListenerConfig[], pools: readonly PoolConfig[], refuse: Refuse): void {
  for (const [index, { name, tls, pool }] of listeners.entries()) {
    const broker = tls === "passthrough" ? pools.find((each) => each.name === pool)?.brokers.find(({ scheme }) => scheme !== "mqtt") : undefined;
    if (broker === undefined) continue;
    const reason = `listener "${name}" passes TLS through to broker "${broker.name}", to which sluice would speak ${broker.scheme}: the clients' TLS would be inside of that`;
    refuse(["listeners", index, "tls"], reason, `write the broker as mqtt://${broker.name}: its clients do TLS with it themselves`);
  }
}

/** A broker that is a listener of ours: every client would come round and round until no descriptor is left. */
function refuseLoops(listeners: readonly ListenerConfig[], pools: readonly PoolConfig[], refuse: Refuse): void {
  for (const { name: pool, brokers, via } of pools) {
    for (const [index, broker] of brokers.entries()) {
      const own = via === undefined ? listeners.find((listener) => leadsTo(broker, listener)) : undefined;
      if (own === undefined) continue;
      const suggestion = broker.unixPath === undefined ? `where the broker runs on this machine, listen on another port, such as ${own.scheme}://:${own.port === 65535 ? own.port - 1 : own.port + 1}` : undefined;
      refuse(["pools", pool, "brokers", index], `broker "${broker.name}" is this proxy's own listener "${own.name}"`, suggestion);
    }
  }
}

function leadsTo({ host, port, unixPath }: BrokerConfig, listener: ListenerConfig): boolean {
  if (unixPath !== undefined || listener.unixPath !== undefined || listener.systemdName !== undefined) return unixPath !== undefined && unixPath === listener.unixPath;
  if (port !== listener.port) return false;
  return host === listener.host || (LOOPBACK.get(host)?.includes(listener.host ?? "") ?? false);
}

/** The listeners that take what is meant for this machine: another program may have the same port of the other family. Empty: every address. */
const LOOPBACK: ReadonlyMap<string, readonly string[]> = new Map([
  ["127.0.0.1", ["", "0.0.0.0", "::", "localhost"]],
  ["::1", ["", "::", "localhost"]],
  ["localhost", ["", "0.0.0.0", "::", "127.0.0.1", "::1"]],
]);

/** Listeners of one address or one name. Port 0 asks for any free port: two of them are two. */
function refuseTwins(listeners: readonly ListenerConfig[], entries: readonly ParsedListener[], refuse: Refuse): void {
  if (listeners.length === 0) {
    refuse(["listeners"], "the list of listeners is empty: expected at least one", "remove it to listen on mqtt://:1883");
  }
  for (const [index, listener] of listeners.entries()) {
    const { name } = listener;
    const before = listeners.slice(0, index);
    const twin = before.find((other) => areTwins(listener, other));
    if (twin !== undefined) {
      const [own, others] = [placeOf(listener), placeOf(twin)];
      const reason = own === others ? `address "${own}" is used by two listeners` : `addresses "${own}" and "${others}" cannot be had together: one is every address, the other's included`;
      refuse(["listeners", index, "listen"], reason, own === others ? undefined : "remove one of the two listeners, or give it another port");
    } else if (before.some((other) => other.name === name)) {
      const key = entries[index]?.name === undefined ? "listen" : "name";
      refuse(["listeners", index, key], `listener "${name}" exists twice`, "give each a name of its own");
    }
  }
}

/** A name may stand for any address: whether that can be had, the start finds out. */
function areTwins(one: ListenerConfig, other: ListenerConfig): boolean {
  const isSocket = [one, other].some(({ unixPath, systemdName }) => unixPath !== undefined || systemdName !== undefined);
  if (isSocket) return placeOf(one) === placeOf(other);
  if (one.port !== other.port || one.port === 0) return false;
  return one.host === other.host || includes(one.host, other.host) || includes(other.host, one.host);
}

/** Whether the first is every address of a family, the second's too. `::` takes IPv4 as well. */
function includes(every: string | undefined, host = "::"): boolean {
  if (every === undefined || every === "::") return isAddress(host);
  return every === "0.0.0.0" && isAddress(host) && (!host.includes(":") || host === "::");
}
