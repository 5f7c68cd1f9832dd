import { suggest } from "../lib/suggest.ts";
import { hostAndPort, type Address } from "./address.ts";
import { pathText, type Finding, type KeyPath } from "./problem.ts";
import type { ParsedInput } from "./schema.ts";
import type { BrokerConfig, Configuration, Limits, ListenerConfig, PoolConfig } from "./types.ts";

/** What MQTT's remaining length can say, and the largest fixed header: four bytes more than the "256MiB" that stands for it. */
const PROTOCOL_PACKET_MAX = 268_435_455 + 5;

type ParsedPool = ParsedInput["pools"][string];

/** What a schema cannot say: names that must exist, things that must fit each other. */
export function checkMeaning(input: ParsedInput): { configuration?: Configuration; findings: Finding[] } {
  const findings: Finding[] = [];
  const limits = resolveLimits(input.limits, findings);
  const pools = Object.entries(input.pools).map(([name, pool]) => resolvePool(name, pool, findings));
  if (pools.length === 0) findings.push({ path: [], reason: "no pool of brokers: there is nowhere to send clients to", suggestion: 'add [pools.default] with brokers = ["mqtt://host"]' });
  const listeners = resolveListeners(input, pools.map((pool) => pool.name), findings);
  return findings.length > 0 ? { findings } : { findings, configuration: { log: input.log, limits, listeners, pools } };
}

function resolveLimits(input: ParsedInput["limits"], findings: Finding[]): Limits {
  const packetSizeMax = input.packet_size_max === 256 * 1_048_576 ? PROTOCOL_PACKET_MAX : input.packet_size_max;
  if (input.connect_size_max > packetSizeMax) {
    findings.push({
      path: ["limits", "connect_size_max"],
      reason: `limits.connect_size_max is ${input.connect_size_max} bytes: expected no more than limits.packet_size_max, which is ${packetSizeMax}`,
    });
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

function resolvePool(name: string, input: ParsedPool, findings: Finding[]): PoolConfig {
  const path: KeyPath = ["pools", name];
  if (!/^[\w.-]{1,64}$/.test(name)) findings.push({ path, reason: `cannot use ${pathText([name])} as the name of a pool: expected 1 to 64 letters, digits, "_", "-" or "."` });
  const seen = new Set<string>();
  const brokers = input.brokers.map((entry, index): BrokerConfig => {
    const address: Address = "url" in entry ? entry.url : entry;
    const { weight, password_file: passwordFile } = "url" in entry ? entry : { weight: 1, password_file: undefined };
    const host = address.host ?? "";
    const broker = { ...address, host, name: hostAndPort(host, address.port), weight, passwordFile };
    const at = [...path, "brokers", index];
    if (seen.has(broker.name)) findings.push({ path: at, reason: `broker "${broker.name}" is in ${pathText(path)} twice`, suggestion: "give it a weight instead" });
    seen.add(broker.name);
    if (passwordFile !== undefined) findings.push(...passwordFindings(address, [...at, "password_file"]));
    return broker;
  });
  const { ca: caFile, insecure } = input.tls;
  if ((caFile !== undefined || insecure) && !brokers.some((broker) => broker.scheme === "mqtts")) {
    findings.push({ path: [...path, "tls"], reason: `${pathText([...path, "tls"])} has no effect: expected at least one mqtts:// broker in the pool`, suggestion: "write mqtts:// in front of the broker, or remove it" });
  }
  return { name, balance: input.balance, brokers, tls: { caFile, insecure } };
}

function passwordFindings(address: Address, path: KeyPath): Finding[] {
  // [MQTT-3.1.2-22]: no password without a user name.
  if (address.username === undefined) return [{ path, reason: `${pathText(path)} is given without a user: expected one in the URL`, suggestion: "write mqtt://user@host" }];
  if (address.password !== undefined) return [{ path, reason: `${pathText(path)} is given beside a password in the URL: expected one of the two` }];
  return [];
}

function resolveListeners(input: ParsedInput, poolNames: readonly string[], findings: Finding[]): ListenerConfig[] {
  const names = new Set<string>();
  const addresses = new Set<string>();
  if (input.listeners.length === 0) findings.push({ path: ["listeners"], reason: "the list of listeners is empty: expected at least one", suggestion: "remove it to listen on mqtt://:1883" });
  return input.listeners.map((entry, index): ListenerConfig => {
    const { scheme, host, port } = entry.listen;
    const path: KeyPath = ["listeners", index];
    const where = hostAndPort(host, port);
    const name = entry.name ?? `${scheme}://${where}`;
    // Port 0 asks for any free port: two of them are two.
    if (port !== 0 && addresses.has(where)) findings.push({ path: [...path, "listen"], reason: `address "${where}" is used by two listeners` });
    else if (names.has(name)) findings.push({ path: [...path, entry.name === undefined ? "listen" : "name"], reason: `listener "${name}" exists twice`, suggestion: "give each a name of its own" });
    addresses.add(where);
    names.add(name);
    if (scheme === "mqtts" && !entry.tls) {
      findings.push({ path: [...path, "listen"], reason: `listener "${name}" has no certificate: expected tls with cert and key`, suggestion: 'add tls = { cert = "cert.pem", key = "key.pem" } (flags: --cert and --key), or listen on mqtt://' });
    }
    if (scheme === "mqtt" && entry.tls) {
      findings.push({ path: [...path, "tls"], reason: `listener "${name}" has tls, but its URL says mqtt://`, suggestion: `listen on "mqtts://${where}", or remove tls` });
    }
    const tls = entry.tls && { certFile: entry.tls.cert, keyFile: entry.tls.key };
    return { name, scheme, host, port, tls, pool: poolOf(entry.pool, poolNames, [...path, "pool"], findings) };
  });
}

function poolOf(name: string | undefined, poolNames: readonly string[], path: KeyPath, findings: Finding[]): string {
  const chosen = name ?? (poolNames.length === 1 ? poolNames[0]! : "default");
  if (poolNames.length > 0 && !poolNames.includes(chosen)) {
    const near = suggest(chosen, poolNames);
    findings.push(name === undefined
      ? { path: path.slice(0, -1), reason: `${pathText(path)} is missing: there are several pools, and none is called "default"`, suggestion: `add pool = ${JSON.stringify(poolNames[0])}` }
      : { path, reason: `cannot use ${JSON.stringify(name)} as ${pathText(path)}: expected a pool that exists (${poolNames.join(", ")})`, suggestion: near && `did you mean ${JSON.stringify(near)}?` });
  }
  return chosen;
}
