import { parseNetwork } from "../lib/network.ts";
import { urlOf } from "./address.ts";
import { DEFAULT_WEBSOCKET_PATH } from "./meaning_pool.ts";
import { refuseServerName, type Refuse } from "./meaning_route.ts";
import { pathText, type KeyPath } from "./problem.ts";
import type { ParsedInput } from "./schema.ts";
import type { CertificateConfig, ListenerConfig, ListenerTlsConfig, Scheme, Transport } from "./types.ts";

type ParsedListener = ParsedInput["listeners"][number];
type ParsedTls = Extract<NonNullable<ParsedListener["tls"]>, object>;
type ParsedCertificate = ParsedTls["certificates"][number];

const TRANSPORTS: Readonly<Record<Scheme, readonly Transport[]>> = {
  mqtt: ["mqtt"],
  mqtts: ["mqtts"],
  ws: ["ws"],
  wss: ["wss"],
  any: ["mqtt", "mqtts", "ws", "wss"],
};
/** "x-amzn-mqtt-ca" is what devices of AWS IoT ask for on port 443. */
const MQTT_ALPN = ["mqtt", "x-amzn-mqtt-ca"];
const ALPN: Partial<Record<Scheme, readonly string[]>> = { mqtts: MQTT_ALPN, wss: ["http/1.1"], any: [...MQTT_ALPN, "http/1.1"] };
const isSecure = (transport: Transport) => transport === "mqtts" || transport === "wss";
const isWebSocket = (transport: Transport) => transport === "ws" || transport === "wss";

/** What is asked of clients where tls = "auto" says nothing else. */
const AUTO: CertificateConfig = { certFile: "", keyFile: "", names: undefined, clientCertificates: "none", caFile: undefined, crlFile: undefined };

export function resolveListener(entry: ParsedListener, path: KeyPath, pool: string, refuse: Refuse): ListenerConfig {
  const { host, port, unixPath, systemdName } = entry.listen;
  const scheme = entry.listen.scheme as Scheme;
  const name = entry.name ?? urlOf(entry.listen);
  const accept = resolveAccept(entry, path, name, refuse);
  const tls = resolveTls(entry, path, name, accept, refuse);
  if (entry.accept === undefined && !accept.every(isSecure)) refuseOpenDoor(tls, path, name, refuse);
  if (entry.mode !== undefined && unixPath === undefined) refuse([...path, "mode"], `listener "${name}" has a mode, but is no unix socket`);
  return {
    name,
    scheme,
    host,
    port,
    ...(unixPath !== undefined && { unixPath }),
    ...(entry.mode !== undefined && { unixMode: parseInt(entry.mode, 8) }),
    ...(systemdName !== undefined && { systemdName }),
    accept,
    tls,
    ...resolveWebSocket(entry, path, name, accept, refuse),
    ...resolveProxyProtocol(entry, path, refuse),
    ...(entry.connections_max !== undefined && { connectionsMax: entry.connections_max }),
    ...(entry.connect_rate && { connectRate: entry.connect_rate }),
    pool,
  };
}

/** Whether the listener's certificate is made at the start. */
export function wantsCertificate({ tls }: ListenerConfig): boolean {
  return typeof tls === "object" && tls.auto !== undefined;
}

/** Every transport of the scheme that the listener has the means for. */
function resolveAccept({ listen, accept, tls }: ParsedListener, path: KeyPath, name: string, refuse: Refuse): readonly Transport[] {
  const scheme = listen.scheme as Scheme;
  const possible = TRANSPORTS[scheme].filter((transport) => scheme !== "any" || tls !== undefined || !isSecure(transport));
  if (accept === undefined) return possible;
  if (scheme !== "any") refuse([...path, "accept"], `listener "${name}" has accept, which is for any:// listeners`);
  const missing = accept.find((transport) => !possible.includes(transport));
  if (missing !== undefined && scheme === "any") refuse([...path, "accept"], `listener "${name}" cannot accept ${missing} without tls`, 'add tls = { cert = "cert.pem", key = "key.pem" }');
  return possible.filter((transport) => accept.includes(transport));
}

/** Who requires certificates and does not say that others may come in all the same has not thought of them. */
function refuseOpenDoor(tls: ListenerConfig["tls"], path: KeyPath, name: string, refuse: Refuse): void {
  if (typeof tls !== "object" || ![...tls.certificates, ...(tls.auto ? [tls.auto] : [])].some(({ clientCertificates }) => clientCertificates === "require")) return;
  const reason = `listener "${name}" requires client certificates, and lets in mqtt and ws, which have none`;
  refuse([...path, "tls", "ca"], reason, 'add accept = ["mqtts", "wss"] (flags: listen on mqtts:// and wss://), or name all four to mean it');
}

function resolveTls(entry: ParsedListener, path: KeyPath, name: string, accept: readonly Transport[], refuse: Refuse): ListenerConfig["tls"] {
  const scheme = entry.listen.scheme as Scheme;
  const { tls } = entry;
  if (tls === undefined) {
    if (scheme !== "mqtts" && scheme !== "wss") return undefined;
    const suggestion = `add tls = { cert = "cert.pem", key = "key.pem" } (flags: --cert and --key, or --tls auto), or listen on ${scheme === "wss" ? "ws" : "mqtt"}://`;
    refuse([...path, "listen"], `listener "${name}" has no certificate: expected tls with cert and key`, suggestion);
    return undefined;
  }
  if (!accept.some(isSecure)) {
    const secure = scheme === "ws" ? "wss" : "mqtts";
    refuse([...path, "tls"], `listener "${name}" has tls, but ${scheme === "any" ? "accepts" : "its URL says"} ${scheme === "any" ? "none" : `${scheme}://`}`, `listen on "${urlOf({ ...entry.listen, scheme: secure })}", or remove tls`);
  }
  const alpn = ALPN[scheme] ?? [];
  if (tls === "passthrough") {
    if (scheme === "wss") refuse([...path, "tls"], `listener "${name}" cannot pass TLS through and speak WebSocket inside it`, `listen on "mqtts://", which passes on whatever is inside`);
    return "passthrough";
  }
  if (tls === "auto") return { certificates: [], auto: AUTO, minVersion: "1.2", alpn };
  const certificates = resolveCertificates(tls, [...path, "tls"], name, refuse);
  const auto = tls.auto ? resolveCertificate({ cert: "", key: "", names: undefined }, tls, [...path, "tls"], refuse) : undefined;
  return { certificates, ...(auto && { auto }), minVersion: tls.min_version, alpn: tls.alpn ?? alpn } satisfies ListenerTlsConfig;
}

function resolveCertificates(tls: ParsedTls, path: KeyPath, name: string, refuse: Refuse): CertificateConfig[] {
  const certificates = tls.certificates.map((each, index) => {
    for (const serverName of each.names ?? []) refuseServerName(serverName, [...path, "certificates", index, "names"], refuse);
    return resolveCertificate({ ...each }, tls, [...path, "certificates", index], refuse);
  });
  const { cert, key, auto } = tls;
  if ((tls.ca ?? tls.crl) !== undefined && tls.client_certificates === "none" && certificates.every((each) => each.clientCertificates === "none")) {
    refuse(path, `${pathText(path)} has ca or crl, but client_certificates = "none"`);
  }
  if (auto && (cert ?? key) !== undefined) refuse(path, `${pathText(path)} has auto beside cert and key: expected one of the two`);
  else if (cert !== undefined && key !== undefined) certificates.unshift(resolveCertificate({ cert, key, names: undefined }, tls, path, refuse));
  else if (cert !== undefined || key !== undefined) refuse(path, `${pathText(path)} has ${cert === undefined ? "key without cert" : "cert without key"}: expected both`);
  else if (certificates.length === 0 && !auto) refuse(path, `listener "${name}" has no certificate: expected tls with cert and key`);
  return certificates;
}

/** What a certificate does not say about clients, the listener's tls says. */
function resolveCertificate(own: Pick<ParsedCertificate, "cert" | "key" | "names"> & Partial<ParsedCertificate>, tls: ParsedTls, path: KeyPath, refuse: Refuse): CertificateConfig {
  const caFile = own.ca ?? tls.ca;
  const clientCertificates = own.client_certificates ?? tls.client_certificates ?? (caFile === undefined ? "none" : "require");
  const crlFile = clientCertificates === "none" ? undefined : (own.crl ?? tls.crl);
  if (clientCertificates !== "none" && caFile === undefined) {
    refuse(path, `${pathText(path)} asks for client certificates without ca: expected the authorities that they must come from`, 'add ca = "devices-ca.pem"');
  }
  if (clientCertificates === "none" && (own.ca ?? own.crl) !== undefined) {
    refuse(path, `${pathText(path)} has ca or crl, but client_certificates = "none"`);
  }
  return {
    certFile: own.cert,
    keyFile: own.key,
    names: own.names?.map((name) => name.toLowerCase()),
    clientCertificates,
    caFile: clientCertificates === "none" ? undefined : caFile,
    crlFile,
  };
}

function resolveWebSocket(entry: ParsedListener, path: KeyPath, name: string, accept: readonly Transport[], refuse: Refuse): Pick<ListenerConfig, "websocket"> {
  if (!accept.some(isWebSocket) || (entry.tls === "passthrough" && !accept.includes("ws"))) {
    if (entry.websocket) refuse([...path, "websocket"], `listener "${name}" has websocket, but does not accept it`, "listen on ws://, wss:// or any://");
    return {};
  }
  const { protocols = ["mqtt", "mqttv3.1"], origins } = entry.websocket ?? {};
  for (const protocol of protocols) {
    // RFC 6455 section 4.1: a token.
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(protocol)) refuse([...path, "websocket", "protocols"], `cannot use ${JSON.stringify(protocol)} as a subprotocol`);
  }
  for (const origin of origins ?? []) {
    if (!/^[a-z][a-z0-9+.-]*:\/\/(\*\.)?[^/*?#\s]+$/i.test(origin)) {
      refuse([...path, "websocket", "origins"], `cannot use ${JSON.stringify(origin)} as an origin: expected such as https://app.example.com or https://*.example.com, without a path`);
    }
  }
  return { websocket: { path: entry.listen.path ?? DEFAULT_WEBSOCKET_PATH, protocols, origins: origins?.map((origin) => origin.toLowerCase()) } };
}

function resolveProxyProtocol({ proxy_protocol: input }: ParsedListener, path: KeyPath, refuse: Refuse): Pick<ListenerConfig, "proxyProtocol"> {
  if (!input) return {};
  for (const network of input.from) {
    const parsed = parseNetwork(network);
    if (typeof parsed === "object" && "expected" in parsed) refuse([...path, "proxy_protocol", "from"], `cannot use ${JSON.stringify(network)} as ${pathText([...path, "proxy_protocol", "from"])}: expected ${parsed.expected}`);
  }
  return { proxyProtocol: { mode: input.mode, from: input.from } };
}
