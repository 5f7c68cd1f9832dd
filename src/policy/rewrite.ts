import type { RewriteRule } from "../config/rewrite_rule.ts";
import type { Template } from "../config/template.ts";
import type { Connect } from "../mqtt/connect.ts";
import { connectWillTopic } from "../mqtt/connect_fields.ts";
import type { ConnectChanges } from "../mqtt/rewrite.ts";
import { expandTemplate, type TemplateClient } from "./template.ts";

/** Why a client cannot have the CONNECT that its rule wants: it is turned away. A fault, once the table of faults has its code. */
export interface RewriteRefusal {
  readonly code: "not_authorized";
  /** For the log: the field and the variable, never a value. */
  readonly detail: string;
}

const encoder = new TextEncoder();

/** What is to be different in this client's CONNECT. */
export function changesFor(rule: RewriteRule, client: TemplateClient, connect: Connect): ConnectChanges | RewriteRefusal {
  const { clientId, username, password, willTopicPrefix } = rule;
  const expansion = new Expansion(client);
  const willTopic = willTopicPrefix && connectWillTopic(connect);
  const changes: ConnectChanges = {
    clientId: clientId && expansion.text("client_id", clientId),
    username: username && expansion.text("username", username),
    password: password && encoder.encode(expansion.text("password", password)),
    willTopic: willTopic && expansion.text("will_topic_prefix", willTopicPrefix) + willTopic,
    ...(connect.version === 5 && changesOfFive(rule, expansion, connect)),
  };
  if (expansion.refusal !== undefined) return expansion.refusal;
  const isNamed = changes.username === undefined ? connect.username !== undefined : changes.username !== null;
  if (changes.password && !isNamed && connect.version !== 5) {
    return { code: "not_authorized", detail: "password: the client has no user name, and in MQTT 3.1 and 3.1.1 none comes without one" };
  }
  return changes;
}

/** What can be told to a client of MQTT 5 alone: one of 3.x would go on by its own times, and be cut off for it. */
function changesOfFive(rule: RewriteRule, expansion: Expansion, { keepAliveSeconds, sessionExpirySeconds }: Connect): ConnectChanges {
  const { keepAliveMaxSeconds = 0, sessionExpiryMaxSeconds = Infinity, userProperties } = rule;
  const isTooLong = keepAliveMaxSeconds > 0 && (keepAliveSeconds === 0 || keepAliveSeconds > keepAliveMaxSeconds); // 0: for ever
  return {
    keepAliveSeconds: isTooLong ? keepAliveMaxSeconds : undefined,
    sessionExpirySeconds: sessionExpirySeconds > sessionExpiryMaxSeconds ? sessionExpiryMaxSeconds : undefined,
    userProperties: userProperties?.map(([name, value]) => [name, expansion.text("user_properties", value)]),
  };
}

/** Templates for one client. The first that has no text is kept as the refusal. */
class Expansion {
  refusal: RewriteRefusal | undefined = undefined;
  readonly #client: TemplateClient;

  constructor(client: TemplateClient) {
    this.#client = client;
  }

  /** `field` as it is called in the configuration. */
  text(field: string, template: Template): string {
    const text = expandTemplate(template, this.#client);
    if (typeof text === "string") return text;
    this.refusal ??= { code: "not_authorized", detail: `${field}: ${text.detail}` };
    return "";
  }
}
