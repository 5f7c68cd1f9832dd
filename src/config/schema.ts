import * as v from "valibot";
import { parseAddress } from "./address.ts";
import { DURATION, DURATION_EXPECTED, parseDuration, parseSize, SIZE, SIZE_EXPECTED } from "./units.ts";

/*
 * The one description of the TOML file: types, defaults, checks, `sluice schema` and the documentation of every key come from
 * here. The messages of the schemas are what was expected, in words that follow "expected".
 */

const HOUR = 3_600_000;
const MEBIBYTE = 1_048_576;

const text = (title: string, description: string) =>
  v.pipe(v.string("text in quotes"), v.nonEmpty("text that is not empty"), v.title(title), v.description(description));

const choice = <const Names extends readonly [string, ...string[]]>(names: Names, title: string, description: string) =>
  v.optional(v.pipe(v.picklist(names, `one of ${names.join(", ")}`), v.title(title), v.description(description)), names[0] as Names[number]);

const whole = (min: number, max: number, fallback: number, title: string, description: string) => {
  const expected = `a whole number from ${min} to ${max}`;
  return v.optional(
    v.pipe(v.number(expected), v.integer(expected), v.minValue(min, expected), v.maxValue(max, expected), v.title(title), v.description(description)),
    fallback,
  );
};

const duration = (fallback: string, title: string, description: string) =>
  v.optional(
    v.pipe(
      v.string(DURATION_EXPECTED),
      v.regex(DURATION, DURATION_EXPECTED),
      v.title(title),
      v.description(description),
      v.check((value) => !(parseDuration(value) < 1), 'at least "1ms"'),
      v.check((value) => !(parseDuration(value) > 24 * HOUR), 'at most "24h"'),
      v.transform(parseDuration),
    ),
    fallback,
  );

const size = (fallback: string, title: string, description: string) =>
  v.optional(
    v.pipe(
      v.string(SIZE_EXPECTED),
      v.regex(SIZE, SIZE_EXPECTED),
      v.title(title),
      v.description(description),
      v.check((value) => !(parseSize(value) < 16), 'at least "16B"'),
      v.check((value) => !(parseSize(value) > 256 * MEBIBYTE), 'at most "256MiB"'),
      v.transform(parseSize),
    ),
    fallback,
  );

const address = (role: "listener" | "broker", title: string, description: string) =>
  v.pipe(
    v.string("a URL in quotes"),
    v.title(title),
    v.description(description),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const parsed = parseAddress(dataset.value);
      const expected = "expected" in parsed ? parsed.expected
        : role === "listener" && parsed.username !== undefined ? "no user or password in the URL of a listener"
        : role === "broker" && parsed.host === undefined ? "a host in the URL of a broker"
        : role === "broker" && parsed.port === 0 ? "a port from 1 to 65535"
        : undefined;
      if ("expected" in parsed || expected !== undefined) {
        addIssue({ message: expected });
        return NEVER;
      }
      return parsed;
    }),
  );

const section = <S extends v.GenericSchema>(schema: S, title: string, description: string) => v.pipe(schema, v.title(title), v.description(description));

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
}, "a table");

const listener = v.strictObject({
  name: v.optional(text("Name", "What logs call it; default: its URL")),
  listen: address("listener", "Address", "mqtt://host:port or mqtts://host:port; without a host: every address; default ports: 1883 and 8883"),
  pool: v.optional(text("Pool", 'The pool that its clients go to; default: "default", or the only pool')),
  tls: v.optional(section(v.strictObject({
    cert: text("Certificate file", "PEM: the certificate, followed by its chain"),
    key: text("Key file", "PEM: the private key, not encrypted"),
  }, "a table with cert and key"), "TLS", "For mqtts:// listeners, which need it")),
}, "a table with listen");

const WEIGHT = { title: "Weight", description: "Its share, compared with the other brokers of the pool" };
const broker = v.union([
  address("broker", "Broker", "mqtt|mqtts://[user[:password]@]host[:port]; the user replaces the one in the client's CONNECT"),
  v.strictObject({
    url: address("broker", "Address", "mqtt|mqtts://[user[:password]@]host[:port]; the user replaces the one in the client's CONNECT"),
    weight: whole(1, 1_000, 1, WEIGHT.title, WEIGHT.description),
    password_file: v.optional(text("Password file", "The password for the user in the URL: the file's text without the last line break")),
  }),
], "a URL in quotes, or a table with url");

const pool = v.strictObject({
  balance: choice(["round_robin", "least_connections", "random", "client_id"], "Balance", "How a broker is picked: round_robin, least_connections, random (the better of two) or client_id (a client always meets the same broker)"),
  brokers: v.pipe(
    v.array(broker, "a list of brokers"),
    v.minLength(1, "at least one broker"),
    v.title("Brokers"),
    v.description("URLs, or tables with url, weight and password_file"),
  ),
  tls: v.optional(section(v.strictObject({
    ca: v.optional(text("CA file", "PEM: trust these authorities for mqtts:// brokers instead of the system's")),
    insecure: v.optional(v.pipe(
      v.boolean("true or false"),
      v.title("Insecure"),
      v.description("Accept any certificate of a broker: whoever is in between can read and change everything"),
    ), false),
  }, "a table"), "TLS", "For mqtts:// brokers"), {}),
}, "a table with brokers");

export const DEFAULT_LISTENERS = [{ listen: "mqtt://:1883" }];

export const configurationSchema = v.strictObject({
  log: v.optional(section(log, "Log", "What is written to stderr"), {}),
  limits: v.optional(section(limits, "Limits", "A limit on everything that a peer could make grow"), {}),
  listeners: v.optional(section(v.array(listener, "a list: [[listeners]]"), "Listeners", "The addresses on which sluice accepts clients"), DEFAULT_LISTENERS),
  pools: v.optional(section(v.record(v.string(), pool, "tables: [pools.default]"), "Pools", "Named sets of brokers that can stand in for each other"), {}),
}, "a table");

/** What the TOML file says, as an object: for programs that carry sluice inside them. */
export type ConfigInput = v.InferInput<typeof configurationSchema>;
export type ParsedInput = v.InferOutput<typeof configurationSchema>;
