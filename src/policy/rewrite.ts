import type { RewriteRule } from "../config/rewrite_rule.ts";
import type { Template } from "../config/template.ts";
import type { Connect } from "../mqtt/connect.ts";
import { connectWillTopic } from "../mqtt/connect_fields.ts";
import { type Fault, fault } from "../mqtt/fault.ts";
import type { ConnectChanges } from "../mqtt/rewrite.ts";
import { expandTemplate, type TemplateClient } from "./template.ts";

const encoder = new TextEncoder();

/** What is to be different in this client's CONNECT, or why it cannot be: the fault names the field and the variable, never a value. */
export function changesFor(rule: RewriteRule, client: TemplateClient, connect: Connect): ConnectChanges | Fault {
  if (connect.version !== 5 && isTooLong(rule, connect)) {
    return fault("keep_alive_too_long", `a keep-alive of ${connect.keepAliveSeconds} s, and the limit is ${rule.keepAliveMaxSeconds} s`);
  }
  const { clientId, username, password, willTopicPrefix } = rule;
  const expansion = new Expansion(client);
  const willTopic = willTopicPrefix && connectWillTopic(connect);
  const ofAny: ConnectChanges = {
    clientId: clientId && (isAsToldBefore(clientId, client, connect) ? undefined : expansion.text("client_id", clientId)),
    username: username && expansion.text("username", username),
    password: password && encoder.encode(expansion.text("password", password)),
    willTopic: willTopic && expansion.text("will_topic_prefix", willTopicPrefix) + willTopic,
  };
  const changes = connect.version === 5 ? { ...ofAny, ...changesOfFive(rule, expansion, connect) } : ofAny;
  if (expansion.refusal !== undefined) return expansion.refusal;
  const isNamed = changes.username === undefined ? connect.username !== undefined : changes.username !== null;
  if (changes.password && !isNamed && connect.version !== 5) {
    return fault("not_authorized", "password: the client has no user name, and in MQTT 3.1 and 3.1.1 none comes without one");
  }
  return changes;
}

/** What can be told to a client of MQTT 5 alone: one of 3.x would go on by its own times, and be cut off for it. */
function changesOfFive(rule: RewriteRule, expansion: Expansion, connect: Connect): ConnectChanges {
  const { keepAliveMaxSeconds, sessionExpiryMaxSeconds = Infinity, userProperties } = rule;
  const { sessionExpirySeconds } = connect;
  return {
    keepAliveSeconds: isTooLong(rule, connect) ? keepAliveMaxSeconds : undefined,
    sessionExpirySeconds: sessionExpirySeconds > sessionExpiryMaxSeconds ? sessionExpiryMaxSeconds : undefined,
    userProperties: userProperties?.map(([name, value]) => [name, expansion.text("user_properties", value)]),
  };
}

/** The identifier that it was told when it came without one: it comes again under it ([MQTT-3.2.2-16]), and is not to get another. */
function isAsToldBefore(template: Template, client: TemplateClient, { clientId }: Connect): boolean {
  const hasDefault = template.parts.some((part) => typeof part !== "string" && part.name === "client.id" && part.fallback !== undefined);
  return hasDefault && clientId !== "" && expandTemplate(template, client, "client.id") === clientId;
}

/** 0 stands for ever. */
function isTooLong({ keepAliveMaxSeconds }: RewriteRule, { keepAliveSeconds }: Connect): boolean {
  return keepAliveMaxSeconds !== undefined && (keepAliveSeconds === 0 || keepAliveSeconds > keepAliveMaxSeconds);
}

/** Templates for one client. The first that has no text is kept as the refusal. */
class Expansion {
  refusal: Fault | undefined = undefined;
  readonly #client: TemplateClient;

  constructor(client: TemplateClient) {
    this.#client = client;
  }

  /** `field` as it is called in the configuration. */
  text(field: string, template: Template): string {
    const text = expandTemplate(template, this.#client);
    if (typeof text === "string") return text;
    this.refusal ??= fault("not_authorized", `${field}: ${text.detail}`);
    return "";
  }
}
