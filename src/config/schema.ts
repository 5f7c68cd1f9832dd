import * as v from "valibot";
import { authentication } from "./schema_authentication.ts";
import { connect } from "./schema_connect.ts";
import { address, choice, duration, durationValue, rateValue, section, size, text, texts, whole, wholeValue } from "./schema_values.ts";

/*
 * The one description of the TOML file: types, defaults, checks, `sluice schema` and the documentation of every key come from
 * here. The messages of the schemas are what was expected, in words that follow "expected".
 */

const log = v.strictObject({
  level: choice(["info", "debug", "warn", "error"], "Log level", "The least important lines that are written: debug, info, warn or error"),
  format: choice(["auto", "pretty", "json"], "Log format", "pretty for people, json for programs; auto: pretty on a terminal, json otherwise"),
  color: choice(["auto", "always", "never"], "Colours", "auto: on a terminal, unless NO_COLOR is set"),
}, "a table");

const limits = v.strictObject({
  connections_max: whole(1, 1_000_000, 10_000, "Connections", "Clients connected at once; more are refused in MQTT's words (CONNACK 3 or 0x97), and beyond a few of those closed as they come. Never more than half of the descriptors that the process may open"),
  connect_timeout: duration("10s", "CONNECT timeout", "How long a client may take to send its whole CONNECT"),
  connect_size_max: size("64KiB", "CONNECT size", "The largest CONNECT packet; sluice holds it in memory until a broker is found"),
  packet_size_max: size("256MiB", "Packet size", "The largest packet in either direction. 256MiB stands for the protocol's own ceiling; sluice never holds a packet, so less is policy"),
  handshake_timeout: duration("10s", "TLS handshake timeout", "How long a client's TLS handshake may take"),
  dial_timeout: duration("5s", "Dial timeout", "How long connecting to one broker may take, TLS included"),
  answer_timeout: duration("15s", "Answer timeout", "From a client's CONNECT to a broker's CONNACK, over all brokers that are tried"),
  buffer_size_max: size("64KiB", "Early bytes", "What a client may send between CONNECT and CONNACK before sluice stops reading it"),
  stall_timeout: duration("60s", "Stall timeout", "How long a peer may take no bytes while some wait for it"),
  drain_timeout: duration("10s", "Drain timeout", "How long sessions may go on after a stop was asked for"),
  connections_per_address_max: v.optional(wholeValue(1, 1_000_000, "Connections of an address", "Clients at once from one address, or from one /64 of IPv6; more are refused (CONNACK 3 or 0x97); default: no limit")),
  connections_per_username_max: v.optional(wholeValue(1, 1_000_000, "Connections of a user", "Clients at once with one user name; more are refused (CONNACK 3 or 0x97); default: no limit")),
  connect_rate_per_address: v.optional(rateValue("CONNECT rate of an address", "How many CONNECTs one address, or one /64 of IPv6, may send in a time, such as 10/s; more are refused (CONNACK 3 or 0x9F); default: no limit")),
  keep_alive_max: v.optional(durationValue("Keep-alive", "The longest keep-alive, at most 65535 s. A client of MQTT 5 that asks for more, or for none, is told this one; one of 3.x is refused (CONNACK 5); default: no limit")),
  session_length_max: v.optional(durationValue("Session length", "How long a session may last; at up to a tenth less its client is told to come again (MQTT 5: DISCONNECT 0x98); default: no limit", { hoursMax: 8_760 })),
}, "a table");

const CLIENT_CERTIFICATES = ["none", "request", "require"] as const;
const clientCertificates = {
  client_certificates: v.optional(v.pipe(
    v.picklist(CLIENT_CERTIFICATES, `one of ${CLIENT_CERTIFICATES.join(", ")}`),
    v.title("Client certificates"),
    v.description("none; request: who shows one must show a good one; require. Default: require when ca is given, otherwise none"),
  )),
  ca: v.optional(text("Client CA file", "PEM: the authorities that client certificates must come from")),
  crl: v.optional(text("Revocation list file", "PEM: certificates of those authorities that are no longer good")),
};

const certificate = v.strictObject({
  cert: text("Certificate file", "PEM: the certificate, followed by its chain"),
  key: text("Key file", "PEM: the private key, not encrypted"),
  names: v.optional(texts("Server names", "The names (SNI) that it is for, such as *.example.com; default: the names in the certificate")),
  ...clientCertificates,
}, "a table with cert and key");

const listenerTls = v.union([
  v.pipe(v.picklist(["auto", "passthrough"], 'a table with cert and key, "auto" or "passthrough"'), v.title("TLS"), v.description("auto: a local authority and a certificate for this host, made at the first start; passthrough: the brokers do TLS themselves")),
  v.strictObject({
    cert: v.optional(text("Certificate file", "PEM: the certificate, followed by its chain; for clients that name no server, or one that no other certificate is for")),
    key: v.optional(text("Key file", "PEM: the private key, not encrypted")),
    auto: v.optional(v.pipe(v.boolean("true or false"), v.title("Auto"), v.description("Instead of cert and key: a local authority and a certificate for this host, made at the first start")), false),
    certificates: v.optional(section(v.array(certificate, "a list of tables with cert and key"), "Certificates", "More of them, chosen by the server name (SNI) that the client asks for"), []),
    min_version: choice(["1.2", "1.3"], "Minimum version", "The oldest TLS that is spoken"),
    alpn: v.optional(texts("ALPN", 'Protocols in the order of preference; default: "mqtt" and "x-amzn-mqtt-ca" for mqtts, "http/1.1" for wss, all of them for any')),
    ...clientCertificates,
  }, "a table with cert and key"),
], 'a table with cert and key, "auto" or "passthrough"');

const listener = v.strictObject({
  name: v.optional(text("Name", "What logs call it; default: its URL")),
  listen: address("listener", "Address", "mqtt, mqtts, ws, wss or any://host:port; any tells them apart by the first bytes; without a host: every address; default ports: 1883, 8883, 80, 443, 8883; ws and wss with a path, default /mqtt; unix:///path or wss+unix:///path for a unix socket; systemd://name for a socket that systemd hands over"),
  pool: v.optional(text("Pool", 'The pool that its clients go to; default: "default", or the only pool')),
  connections_max: v.optional(wholeValue(1, 1_000_000, "Connections", "Clients at once at this listener; more are refused (CONNACK 3 or 0x97); default: only limits.connections_max counts")),
  connect_rate: v.optional(rateValue("CONNECT rate", "How many clients are let in in a time, such as 100/s; more are refused (CONNACK 3 or 0x9F), so that they come again later; default: no limit")),
  mode: v.optional(v.pipe(v.string("text in quotes"), v.regex(/^0?[0-7]{3}$/, 'a mode in octal, such as "0660"'), v.title("Mode"), v.description("Who may connect to a unix socket: the mode of its file"))),
  accept: v.optional(section(v.pipe(v.array(v.picklist(["mqtt", "mqtts", "ws", "wss"], "mqtt, mqtts, ws or wss"), "a list of mqtt, mqtts, ws and wss"), v.minLength(1, "at least one of mqtt, mqtts, ws, wss")), "Accept", "For any:// listeners: what is let in; default: all that its tls allows")),
  tls: v.optional(section(listenerTls, "TLS", "For mqtts:// and wss:// listeners, which need it, and any://")),
  websocket: v.optional(section(v.strictObject({
    protocols: v.optional(texts("Subprotocols", "Which of them the client may ask for")),
    origins: v.optional(texts("Origins", "The web pages that may connect, such as https://app.example.com or https://*.example.com; default: all")),
  }, "a table"), "WebSocket", "For ws://, wss:// and any:// listeners")),
  proxy_protocol: v.optional(section(v.strictObject({
    from: texts("Trusted", "The networks whose PROXY protocol header is believed, such as 10.0.0.0/8; unix stands for a unix socket's peers"),
    mode: choice(["required", "optional"], "Mode", "Whether they must send one; without a header the connection's own address counts"),
  }, "a table with from"), "PROXY protocol", "Clients come through another proxy, which says who they are (v1 and v2)")),
}, "a table with listen");

const BROKER = "mqtt, mqtts, ws or wss://[user[:password]@]host[:port][/path], or unix:///path; the user replaces the one in the client's CONNECT";
const WEIGHT = { title: "Weight", description: "Its share, compared with the other brokers of the pool" };
const broker = v.union([
  address("broker", "Broker", BROKER),
  v.strictObject({
    url: address("broker", "Address", BROKER),
    weight: whole(1, 1_000, 1, WEIGHT.title, WEIGHT.description),
    backup: v.optional(v.pipe(v.boolean("true or false"), v.title("Backup"), v.description("Gets clients only while no other broker of the pool can take them")), false),
    connections_max: v.optional(wholeValue(1, 1_000_000, "Connections", "Sessions at once; a broker that has them all is passed over; default: no limit")),
    connect_rate: v.optional(rateValue("CONNECT rate", "How many clients it gets in a time, such as 50/s; a broker that had them is passed over; default: no limit")),
    state: choice(["ready", "drain", "maint"], "State", "ready; drain: only clients whose MQTT session it holds; maint: none, and those that are there are closed"),
    password_file: v.optional(text("Password file", "The password for the user in the URL: the file's text without the last line break")),
  }),
], "a URL in quotes, or a table with url");

const VIA = "http://[user[:password]@]host:port (CONNECT) or socks5://[user[:password]@]host[:port]";
const pool = v.strictObject({
  balance: choice(
    ["round_robin", "least_connections", "random", "client_id", "username", "address", "first"],
    "Balance",
    "How a broker is picked: round_robin, least_connections, random (the better of two); client_id, username or address (the same always meets the same broker); first (in the order as listed)",
  ),
  load_max: v.optional(v.pipe(v.number("a number above 1, such as 1.25"), v.check((value) => value > 1 && value <= 100, "a number above 1, such as 1.25"), v.title("Load bound"), v.description("For client_id, username and address: a broker with more than so many times its fair share is passed over; default: no bound"))),
  slow_start: v.optional(duration("30s", "Slow start", "How long the weight of a broker that came back grows to its full size; default: it has it at once")),
  fail_over: choice(["each", "all"], "Fail-over", "each: a client goes where there is room; all: one broker serves everybody, for brokers that know nothing of each other"),
  return_after: duration("60s", "Return", "With fail_over all: how long a broker that is listed before the one in use must have been well before everybody goes back to it"),
  affinity: choice(["none", "session"], "Affinity", "session: a client goes back to the broker that holds its MQTT session, for as long as it may hold it"),
  clear_sessions: v.optional(v.pipe(v.boolean("true or false"), v.title("Clear sessions"), v.description("With affinity session, for brokers that know nothing of each other: when a client with a clean start gets another broker, the session on the one before is ended")), false),
  take_over: v.optional(v.pipe(v.boolean("true or false"), v.title("Take-over"), v.description("Of two clients with one id at once, the older one is closed (MQTT 5: DISCONNECT 0x8E), also when they are on different brokers")), true),
  redirects: choice(["follow", "pass"], "Redirects", "When a broker sends a client to another one (0x9C or 0x9D with a Server Reference) that is in this pool: follow goes there for the client, pass leaves it to the client"),
  waiting: v.optional(section(v.strictObject({
    clients_max: whole(1, 100_000, 1_000, "Clients", "How many may wait at once; more are refused"),
    timeout: duration("5s", "Timeout", "How long one waits before it is refused"),
  }, "a table"), "Waiting line", "Clients wait for a broker when all have as many as they may have, or had their rate; default: they are refused at once (CONNACK 3 or 0x89, 0x9F)")),
  rebalance: v.optional(section(v.strictObject({
    rate: v.optional(rateValue("Rate", "How many sessions are moved in a time"), "10/s"),
    absolute: whole(0, 1_000_000, 50, "Absolute", "A broker within so many sessions of its fair share gives none away"),
    relative: v.optional(v.pipe(v.number("a number from 1 to 10"), v.minValue(1, "a number from 1 to 10"), v.maxValue(10, "a number from 1 to 10"), v.title("Relative"), v.description("Nor does one with no more than so many times its fair share")), 1.1),
  }, "a table"), "Rebalance", "When brokers have come or come back, idle sessions of the fuller ones are closed (MQTT 5: DISCONNECT 0x9C) so that their clients are balanced anew; default: sessions stay where they are")),
  connect: v.optional(section(connect, "Connect", "What is different in the CONNECT that the brokers get; texts may have variables such as ${client.id}")),
  health: v.optional(section(v.strictObject({
    probe: choice(["tcp", "mqtt"], "Probe", "tcp: the broker takes a connection (and TLS); mqtt: it answers CONNECT"),
    interval: duration("10s", "Interval", "Between two probes"),
    fast_interval: duration("1s", "Fast interval", "The same while probes contradict what is known"),
    timeout: duration("3s", "Timeout", "A probe that takes longer has failed"),
    rise: whole(1, 100, 2, "Rise", "Probes in a row that must succeed before a broker that was down is up"),
    fall: whole(1, 100, 3, "Fall", "Probes in a row that must fail before a broker is down"),
    version: v.optional(v.pipe(v.picklist(["3.1", "3.1.1", "5"], "3.1, 3.1.1 or 5"), v.title("Version"), v.description("Of MQTT; default: 3.1.1")), "3.1.1"),
    username: v.optional(text("User", "For CONNECT; default: the user in the broker's URL")),
    password_file: v.optional(text("Password file", "Its password: the file's text without the last line break")),
    loop_topic: v.optional(text("Loop topic", "Also subscribe below this topic, publish there, and wait for it")),
  }, "a table"), "Health", "Ask the brokers whether they are well, and close the sessions of one that is not; default: go by what clients meet")),
  evict_within: duration("5s", "Evict within", "Over how long the sessions of a broker that went down, or is taken out, are closed, so that not all come back at once"),
  brokers: v.pipe(
    v.array(broker, "a list of brokers"),
    v.minLength(1, "at least one broker"),
    v.title("Brokers"),
    v.description("URLs, or tables with url, weight and password_file"),
  ),
  tls: v.optional(section(v.strictObject({
    ca: v.optional(text("CA file", "PEM: trust these authorities for mqtts:// and wss:// brokers instead of the system's")),
    cert: v.optional(text("Certificate file", "PEM: our own certificate, for brokers that ask for one")),
    key: v.optional(text("Key file", "PEM: its private key, not encrypted")),
    server_name: v.optional(text("Server name", "The name to ask for (SNI) and to find in the certificate; default: the broker's host")),
    alpn: v.optional(texts("ALPN", "Protocols to offer, such as x-amzn-mqtt-ca; default: none, http/1.1 for wss://")),
    insecure: v.optional(v.pipe(
      v.boolean("true or false"),
      v.title("Insecure"),
      v.description("Accept any certificate of a broker: whoever is in between can read and change everything"),
    ), false),
  }, "a table"), "TLS", "For mqtts:// and wss:// brokers"), {}),
  websocket: v.optional(section(v.strictObject({
    headers: v.pipe(v.record(v.string(), v.string("text in quotes"), "a table of texts"), v.title("Headers"), v.description("More header lines for the upgrade request")),
  }, "a table with headers"), "WebSocket", "For ws:// and wss:// brokers")),
  proxy_protocol: v.optional(v.pipe(v.picklist(["v1", "v2"], "v1 or v2"), v.title("PROXY protocol"), v.description("Tell the brokers who the client is by a header in front of everything; they must be set up for it"))),
  via: v.optional(section(v.union([
    address("forward proxy", "Via", VIA),
    v.strictObject({
      url: address("forward proxy", "Address", VIA),
      password_file: text("Password file", "The password for the user in the URL: the file's text without the last line break"),
    }),
  ], "a URL in quotes, or a table with url and password_file"), "Via", "The forward proxy through which the brokers are reached")),
}, "a table with brokers");

const version = v.picklist(["3.1", "3.1.1", "5"], "3.1, 3.1.1 or 5");
const REFUSALS = ["not_authorized", "bad_credentials", "banned", "client_id_rejected", "server_busy", "server_unavailable"] as const;
const globs = (title: string, description: string) => v.optional(texts(title, `${description}; * stands for any characters, ? for one`));

const route = v.strictObject({
  name: v.optional(text("Name", "What logs and sluice route call it; default: its place in the list")),
  listener: v.optional(texts("Listener", "The names of listeners; default: all")),
  sni: v.optional(texts("Server name", "The name that the client asked TLS for, such as *.example.com")),
  alpn: v.optional(texts("ALPN", "The protocol that was agreed on; with passthrough: that the client offers")),
  client_id: globs("Client id", "The client identifier, such as sensor-*"),
  username: globs("User name", "The user name in CONNECT"),
  address: v.optional(texts("Address", "Networks of clients, such as 10.0.0.0/8")),
  version: v.optional(v.pipe(v.union([version, v.pipe(v.array(version), v.minLength(1, "at least one of 3.1, 3.1.1, 5"))], "3.1, 3.1.1 or 5 in quotes, or a list of such"), v.title("Version"), v.description("Versions of MQTT"), v.transform((value) => (typeof value === "string" ? [value] : value)))),
  common_name: globs("Common name", "The common name of the client's certificate"),
  alternative_name: globs("Alternative name", "A DNS name, mail address, URI or IP address in the client's certificate"),
  user_property: v.optional(section(v.record(v.string(), v.string("text in quotes"), "a table of names and patterns"), "User properties", "Of a CONNECT of MQTT 5: each of these names must be there with a value that fits the pattern")),
  pool: v.optional(text("Pool", "Where such clients go")),
  refuse: v.optional(v.pipe(v.picklist(REFUSALS, `one of ${REFUSALS.join(", ")}`), v.title("Refuse"), v.description("Turn such clients away, for this reason in MQTT's words, instead of a pool"))),
}, "a table with pool or refuse");

export const DEFAULT_LISTENERS = [{ listen: "mqtt://:1883" }];

export const configurationSchema = v.strictObject({
  log: v.optional(section(log, "Log", "What is written to stderr"), {}),
  limits: v.optional(section(limits, "Limits", "A limit on everything that a peer could make grow"), {}),
  listeners: v.optional(section(v.array(listener, "a list: [[listeners]]"), "Listeners", "The addresses on which sluice accepts clients"), DEFAULT_LISTENERS),
  authentication: v.optional(section(authentication, "Authentication", "Who may come in, checked before any broker hears of a client; without this table: everybody, and the brokers check")),
  routes: v.optional(section(v.array(route, "a list: [[routes]]"), "Routes", "Rules that send clients to another pool than their listener's, or turn them away: the first that fits"), []),
  pools: v.optional(section(v.record(v.string(), pool, "tables: [pools.default]"), "Pools", "Named sets of brokers that can stand in for each other"), {}),
}, "a table");

/** What the TOML file says, as an object: for programs that carry sluice inside them. */
export type ConfigInput = v.InferInput<typeof configurationSchema>;
export type ParsedInput = v.InferOutput<typeof configurationSchema>;
