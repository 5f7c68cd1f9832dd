import * as v from "valibot";
import { durationValue, text } from "./schema_values.ts";

/*
 * [pools.x.connect] of the TOML file: how CONNECT is rewritten on its way to the brokers of a pool.
 */

const textOrNone = (title: string, description: string) =>
  v.pipe(v.union([v.pipe(v.string(), v.nonEmpty()), v.literal(false)], "text that is not empty, or false"), v.title(title), v.description(description));

export const connect = v.strictObject({
  client_id: v.optional(text("Client id", "The client identifier, such as ${username}-${client.id}")),
  username: v.optional(textOrNone("User name", "The user name, such as ${tls.cn}; false: none, and in MQTT 3.x no password either")),
  password: v.optional(textOrNone("Password", "The password, such as ${claims.broker_token}; false: none")),
  session_expiry_max: v.optional(durationValue("Session expiry", "The longest session expiry of MQTT 5, in CONNECT (the client is told) and DISCONNECT", { hoursMax: 8_760 })),
  will_topic_prefix: v.optional(text("Will topic prefix", "What comes in front of the topic of a will, with its separator: tenants/${username}/")),
  user_properties: v.optional(v.pipe(v.record(v.string(), v.string("text in quotes"), "a table of texts"), v.title("User properties"), v.description("User properties to add, in MQTT 5; a client's own of the same names are removed"))),
}, "a table");
