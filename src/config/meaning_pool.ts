import { placeOf, type Address } from "./address.ts";
import { resolveConnect } from "./meaning_connect.ts";
import type { Refuse } from "./meaning_route.ts";
import { pathText, type KeyPath } from "./problem.ts";
import type { ParsedInput } from "./schema.ts";
import type { BrokerConfig, HealthConfig, PoolConfig, PoolTlsConfig, Transport, ViaConfig } from "./types.ts";

type ParsedPool = ParsedInput["pools"][string];

export const DEFAULT_WEBSOCKET_PATH = "/mqtt";

export function resolvePool(name: string, input: ParsedPool, refuse: Refuse): PoolConfig {
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
  return {
    name,
    balance: input.balance,
    brokers,
    tls: resolveTls(input, path, brokers, refuse),
    ...resolveHeaders(input, path, brokers, refuse),
    ...(input.proxy_protocol && { proxyProtocol: input.proxy_protocol }),
    ...resolveChoosing(input, path, refuse),
    ...(input.connect && resolveConnect(input.connect, [...path, "connect"], brokers, refuse)),
    ...(input.via && { via: resolveVia(input.via, [...path, "via"], refuse) }),
  };
}

const HASHING: readonly string[] = ["client_id", "username", "address"];

/** How the pool chooses, beyond its algorithm; what is off is left out. */
function resolveChoosing(input: ParsedPool, path: KeyPath, refuse: Refuse): Partial<PoolConfig> {
  const { balance, load_max: loadMax, slow_start: slowStartMs, fail_over: failOver, return_after: returnAfterMs, affinity, health } = input;
  if (loadMax !== undefined && !HASHING.includes(balance)) {
    refuse([...path, "load_max"], `${pathText([...path, "load_max"])} has no effect with balance = "${balance}": expected client_id, username or address`);
  }
  if (affinity === "session" && failOver === "all") {
    refuse([...path, "affinity"], `${pathText([...path, "affinity"])} has no effect with fail_over = "all": one broker has everybody`, "remove one of them");
  }
  // Only an answer to CONNECT says that a broker can serve everybody again: one that hangs takes connections all the same.
  if (failOver === "all" && health?.probe !== "mqtt") {
    refuse([...path, "fail_over"], `${pathText([...path, "fail_over"])} = "all" needs to know which brokers answer MQTT: expected health with probe = "mqtt"`, `add [${pathText([...path, "health"])}] with probe = "mqtt"`);
  }
  const { clear_sessions: clearSessions, take_over: takeOver, redirects, waiting, rebalance } = input;
  if (clearSessions && affinity !== "session") {
    refuse([...path, "clear_sessions"], `${pathText([...path, "clear_sessions"])} has no effect without affinity = "session"`, 'add affinity = "session"');
  }
  if (rebalance && failOver === "all") {
    refuse([...path, "rebalance"], `${pathText([...path, "rebalance"])} has no effect with fail_over = "all": one broker has everybody`, "remove one of them");
  }
  // A single broker sees to it itself, and sends nobody to another one of this pool.
  const hasSeveral = input.brokers.length > 1;
  return {
    ...(clearSessions && { clearSessions }),
    ...(takeOver && hasSeveral && { takeOver }),
    ...(redirects === "follow" && hasSeveral && { redirects }),
    ...(waiting && { waiting: { clientsMax: waiting.clients_max, timeoutMs: waiting.timeout } }),
    ...(rebalance && hasSeveral && { rebalance }),
    ...(loadMax !== undefined && { loadMax }),
    ...(slowStartMs !== undefined && { slowStartMs }),
    ...(failOver === "all" && { failOver, returnAfterMs }),
    ...(affinity === "session" && { affinity }),
    ...(health && { health: resolveHealth(health, [...path, "health"], refuse) }),
    evictWithinMs: input.evict_within,
  };
}

function resolveHealth(input: NonNullable<ParsedPool["health"]>, path: KeyPath, refuse: Refuse): HealthConfig {
  const { probe, interval, fast_interval, timeout, rise, fall, version, username, password_file: passwordFile, loop_topic: loopTopic } = input;
  if (passwordFile !== undefined && username === undefined) refuse([...path, "password_file"], `${pathText([...path, "password_file"])} is given without username`);
  if (probe === "tcp" && (username ?? loopTopic) !== undefined) refuse(path, `${pathText(path)} says things that only probe = "mqtt" can ask`, 'add probe = "mqtt"');
  if (loopTopic !== undefined && /[+#\0]/.test(loopTopic)) refuse([...path, "loop_topic"], `cannot use ${JSON.stringify(loopTopic)} as ${pathText([...path, "loop_topic"])}: expected a topic without + and #`);
  const versions = { "3.1": 3, "3.1.1": 4, "5": 5 } as const;
  return { probe, intervalMs: interval, fastIntervalMs: fast_interval, timeoutMs: timeout, rise, fall, version: versions[version], username, password: undefined, passwordFile, loopTopic };
}

function resolveTls({ tls }: ParsedPool, path: KeyPath, brokers: readonly BrokerConfig[], refuse: Refuse): PoolTlsConfig {
  const at = [...path, "tls"];
  const { ca: caFile, insecure, cert: certFile, key: keyFile, server_name: serverName, alpn } = tls;
  const isGiven = insecure || Object.keys(tls).some((key) => key !== "insecure");
  if (isGiven && !brokers.some(({ scheme }) => scheme === "mqtts" || scheme === "wss")) {
    const reason = `${pathText(at)} has no effect: expected at least one mqtts:// broker in the pool`;
    refuse(at, reason, "write mqtts:// (or wss://) in front of the broker, or remove it");
  }
  if ((certFile === undefined) !== (keyFile === undefined)) {
    refuse(at, `${pathText(at)} has ${certFile === undefined ? "key without cert" : "cert without key"}: expected both or neither`);
  }
  if (serverName !== undefined && !/^[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?$/i.test(serverName)) {
    refuse([...at, "server_name"], `cannot use ${JSON.stringify(serverName)} as ${pathText([...at, "server_name"])}: expected a host name`);
  }
  return {
    caFile,
    insecure,
    ...(certFile !== undefined && keyFile !== undefined && { certFile, keyFile }),
    ...(serverName !== undefined && { serverName }),
    ...(alpn && { alpn }),
  };
}

/** Names that the upgrade request has already: a second one would contradict it. */
const OWN_HEADERS = /^(host|upgrade|connection|content-length|transfer-encoding|sec-websocket-.*)$/i;

function resolveHeaders({ websocket }: ParsedPool, path: KeyPath, brokers: readonly BrokerConfig[], refuse: Refuse): Pick<PoolConfig, "headers"> {
  if (!websocket) return {};
  const at = [...path, "websocket", "headers"];
  if (!brokers.some(({ scheme }) => scheme === "ws" || scheme === "wss")) {
    refuse(at, `${pathText(at)} has no effect: expected at least one ws:// or wss:// broker in the pool`);
  }
  for (const [name, value] of Object.entries(websocket.headers)) {
    const where = pathText([...at, name]);
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) refuse([...at, name], `cannot use ${JSON.stringify(name)} as a header: expected a name of letters, digits and dashes`);
    else if (OWN_HEADERS.test(name)) refuse([...at, name], `cannot set ${where}: sluice sets this header itself`);
    // RFC 9110 section 5.5
    if (!/^[\t\x20-\x7e]*$/.test(value)) refuse([...at, name], `cannot use the value of ${where}: expected printable ASCII characters`);
  }
  return { headers: websocket.headers };
}

function resolveVia(input: NonNullable<ParsedPool["via"]>, path: KeyPath, refuse: Refuse): ViaConfig {
  const { scheme, host = "", port, username, password } = "url" in input ? input.url : input;
  const passwordFile = "url" in input ? input.password_file : undefined;
  if (passwordFile !== undefined) checkPasswordFile({ username, password }, [...path, "password_file"], "http://user@host:port", refuse);
  const expected = username === undefined ? undefined : expectedLogin(scheme as ViaConfig["scheme"], username, password);
  if (expected !== undefined) refuse(path, `cannot use the user and password of ${pathText(path)}: expected ${expected}`);
  return { scheme: scheme as ViaConfig["scheme"], host, port, username, password, passwordFile };
}

/** What the protocol of the proxy can carry (RFC 7617 section 2, RFC 1929 section 2). */
function expectedLogin(scheme: ViaConfig["scheme"], username: string, password: string | undefined): string | undefined {
  if (/\p{Cc}/u.test(`${username}${password ?? ""}`)) return "no control characters";
  if (scheme === "http") return username.includes(":") ? "no colon in the user name: HTTP's Basic ends it there" : undefined;
  const fits = [username, password].every((part) => part === undefined || (part !== "" && new TextEncoder().encode(part).length <= 255));
  return fits ? undefined : "1 to 255 bytes each, for SOCKS 5";
}

function checkPasswordFile({ username, password }: Pick<Address, "username" | "password">, at: KeyPath, example: string, refuse: Refuse): void {
  // [MQTT-3.1.2-22]: no password without a user name.
  if (username === undefined) refuse(at, `${pathText(at)} is given without a user: expected one in the URL`, `write ${example}`);
  else if (password !== undefined) refuse(at, `${pathText(at)} is given beside a password in the URL: expected one of the two`);
}

/** What a broker has that is only a URL. */
const PLAIN_BROKER = { weight: 1, password_file: undefined, backup: false, connections_max: undefined, connect_rate: undefined, state: "ready" } as const;

function resolveBroker(entry: ParsedPool["brokers"][number], path: KeyPath, refuse: Refuse): BrokerConfig {
  const address: Address = "url" in entry ? entry.url : entry;
  const { weight, password_file: passwordFile, backup, connections_max: sessionsMax, connect_rate: connectRate, state } = "url" in entry ? entry : PLAIN_BROKER;
  if (passwordFile !== undefined) checkPasswordFile(address, [...path, "password_file"], "mqtt://user@host", refuse);
  const { host = "", port, unixPath, username, password } = address;
  const isWebSocket = address.scheme === "ws" || address.scheme === "wss";
  const wsPath = isWebSocket ? (address.path ?? DEFAULT_WEBSOCKET_PATH) : undefined;
  const name = `${placeOf(address)}${wsPath === undefined || wsPath === DEFAULT_WEBSOCKET_PATH ? "" : wsPath.replace(/\?.*/, "")}`;
  return {
    name,
    scheme: address.scheme as Transport,
    host,
    port,
    ...(unixPath !== undefined && { unixPath }),
    ...(wsPath !== undefined && { path: wsPath }),
    username,
    password,
    weight,
    ...(backup && { backup }),
    ...(sessionsMax !== undefined && { sessionsMax }),
    ...(connectRate && { connectRate }),
    ...(state !== "ready" && { state }),
    passwordFile,
  };
}
