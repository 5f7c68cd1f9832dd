import type { Connect } from "../mqtt/connect.ts";
import { connectWillTopic } from "../mqtt/connect_fields.ts";
import type { ConnectChanges } from "../mqtt/rewrite.ts";
import { expandTemplate, isPlainText, parseTemplate, type Template, type TemplateClient, type TemplateTarget } from "./template.ts";

/** How CONNECTs are rewritten, as it is configured: templates are text. Absent: the client's own goes on. */
export interface RewriteTexts {
  readonly clientId?: string | undefined;
  /** null takes it away. */
  readonly username?: string | null | undefined;
  readonly password?: string | null | undefined;
  /** 1 to 65,535. A client of MQTT 5 that asks for more, or for none, gets this. */
  readonly keepAliveMaxSeconds?: number | undefined;
  /** 0 to 4,294,967,295; in MQTT 5, which alone has a session expiry. */
  readonly sessionExpiryMaxSeconds?: number | undefined;
  /** Comes in front of the topic of a will; its own separator is part of it. */
  readonly willTopicPrefix?: string | undefined;
  /** Name and template of the value, in the order in which they are added; in MQTT 5. */
  readonly userProperties?: readonly (readonly [name: string, value: string])[] | undefined;
}

/** The same with its templates parsed. */
export interface RewriteRule {
  readonly clientId: Template | undefined;
  readonly username: Template | null | undefined;
  readonly password: Template | null | undefined;
  readonly keepAliveMaxSeconds: number | undefined;
  readonly sessionExpiryMaxSeconds: number | undefined;
  readonly willTopicPrefix: Template | undefined;
  readonly userProperties: readonly (readonly [name: string, value: Template])[] | undefined;
}

/** A template that is none. */
export interface RewriteProblem {
  readonly key: "clientId" | "username" | "password" | "willTopicPrefix" | "userProperties";
  /** The user property whose name or value it is. */
  readonly property: string | undefined;
  readonly reason: string;
  readonly suggestion: string | undefined;
}

/** Why a client cannot have the CONNECT that its rule wants: it is turned away. A fault, once the table of faults has its code. */
export interface RewriteRefusal {
  readonly code: "not_authorized";
  /** For the log: the field and the variable, never a value. */
  readonly detail: string;
}

type Key = RewriteProblem["key"];

const TARGETS: Readonly<Record<Key, TemplateTarget>> = { clientId: "client_id", username: "text", password: "text", willTopicPrefix: "topic", userProperties: "text" };
const encoder = new TextEncoder();

/** The rule, or everything that keeps its texts from being one. */
export function parseRewrite(texts: RewriteTexts): RewriteRule | readonly RewriteProblem[] {
  const problems: RewriteProblem[] = [];
  const parse = (key: Key, text: string, property?: string): Template => {
    const parsed = parseTemplate(text, TARGETS[key]);
    if (text === "" && key !== "userProperties") problems.push({ key, property, reason: "it is empty", suggestion: undefined });
    if ("parts" in parsed) return parsed;
    problems.push({ key, property, ...parsed });
    return { target: TARGETS[key], parts: [] };
  };
  const { clientId, username, password, willTopicPrefix, userProperties } = texts;
  for (const [name] of userProperties ?? []) {
    if (!isPlainText(name)) problems.push({ key: "userProperties", property: name, reason: "its name has a control character", suggestion: undefined });
  }
  const rule: RewriteRule = {
    clientId: clientId === undefined ? undefined : parse("clientId", clientId),
    username: typeof username === "string" ? parse("username", username) : username,
    password: typeof password === "string" ? parse("password", password) : password,
    keepAliveMaxSeconds: texts.keepAliveMaxSeconds,
    sessionExpiryMaxSeconds: texts.sessionExpiryMaxSeconds,
    willTopicPrefix: willTopicPrefix === undefined ? undefined : parse("willTopicPrefix", willTopicPrefix),
    userProperties: userProperties?.map(([name, value]) => [name, parse("userProperties", value, name)]),
  };
  return problems.length === 0 ? rule : problems;
}

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
