import * as v from "valibot";
import { durationValue, section, text, texts, wholeValue } from "./schema_values.ts";

/*
 * [authentication] of the TOML file. A check has the keys of its type alone: meaning_authentication.ts sees to that, and has the defaults that
 * differ from type to type.
 */

const one = <const Names extends readonly [string, ...string[]]>(names: Names, title: string, description: string) =>
  v.pipe(v.picklist(names, `one of ${names.join(", ")}`), v.title(title), v.description(description));

const check = v.strictObject({
  type: one(["password_file", "certificate", "jwt", "http"], "Type", "password_file: user names and hashed passwords; certificate: a name in the client's certificate becomes its user name; jwt: a signed token; http: a service is asked"),
  file: v.optional(text("Password file", "For password_file: user:hash on each line, as sluice passwd and mosquitto_passwd write them")),
  field: v.optional(one(["common_name", "dns", "email", "uri", "ip"], "Field", "For certificate: the name that becomes the user name; there must be exactly one of its kind. Default: common_name")),
  keys_file: v.optional(text("Keys file", "For jwt: a public key (PEM), a key set (JWKS), or with an HS algorithm the shared secret")),
  keys_url: v.optional(text("Keys URL", "For jwt, instead of keys_file: https:// where the key set (JWKS) is fetched")),
  algorithms: v.optional(texts("Algorithms", "For jwt: those that are allowed, such as ES256; default: all for public keys; a secret needs one of HS256, HS384, HS512")),
  issuer: v.optional(texts("Issuer", "For jwt: who must have made the token; default: anybody with the key")),
  audience: v.optional(texts("Audience", "For jwt: for whom the token must be, one of these; default: not looked at")),
  leeway: v.optional(durationValue("Leeway", "For jwt: by how much the issuer's clock may differ; default: 30s")),
  token_in: v.optional(one(["password", "username"], "Token", "For jwt: where in CONNECT the token stands; default: password")),
  username_claim: v.optional(text("User name claim", "For jwt: the claim that becomes the user name; default: sub")),
  url: v.optional(text("URL", "For http: the service, https://, or http:// on this very machine")),
  headers: v.optional(v.pipe(v.record(v.string(), v.string("text in quotes"), "a table of texts"), v.title("Headers"), v.description("For http: more header lines for each request"))),
  timeout: v.optional(durationValue("Timeout", "For http and keys_url: how long an answer may take; default: 3s")),
  cache: v.optional(durationValue("Cache", "password_file: how long a right password is not hashed again, default 5m; keys_url: how old keys may be before new ones are fetched, default 5m; http: how long a client that was let in is not asked about again, default: it always is")),
  stale: v.optional(durationValue("Stale", "For http and keys_url: how old the last answer may be while the service cannot be asked; default: 24h for keys, as long as cache for http")),
}, "a table with type");

const bans = v.strictObject({
  addresses: v.optional(texts("Addresses", "Networks, such as 192.0.2.0/24")),
  usernames: v.optional(texts("User names", "In CONNECT; * stands for any characters, ? for one")),
  client_ids: v.optional(texts("Client ids", "Client identifiers; * stands for any characters, ? for one")),
  failures_max: v.optional(wholeValue(1, 1_000_000, "Failures", "So many wrong credentials ban the address that they come from, or its /64; default: none do")),
  window: v.optional(durationValue("Window", "For failures_max: within so long of the first of them; default: 1m")),
  duration: v.optional(durationValue("Duration", "For failures_max: how long the ban lasts; default: 10m")),
}, "a table");

export const authentication = v.strictObject({
  anonymous: v.optional(v.pipe(v.boolean("true or false"), v.title("Anonymous"), v.description("Whether clients come in that show neither user name nor password, and that no check knows")), false),
  listeners: v.optional(texts("Listeners", "The names of the listeners whose clients are checked; default: all")),
  checks: v.optional(section(v.array(check, "a list: [[authentication.checks]]"), "Checks", "In this order: the first that has something to say about a client decides"), []),
  bans: v.optional(section(bans, "Bans", "Who is turned away before anything is checked")),
}, "a table");
