import { isPlainText, parseTemplate, type Template, type TemplateTarget } from "./template.ts";

/** How CONNECTs are rewritten, as it is configured: templates are text. Absent: the client's own goes on. */
export interface RewriteTexts {
  readonly clientId?: string | undefined;
  /** null takes it away. */
  readonly username?: string | null | undefined;
  readonly password?: string | null | undefined;
  /** 1 to 65,535; a limit of all pools: meaning.ts. A client of MQTT 5 that asks for more, or for none, gets this; one of 3.x is refused. */
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

/** What may be a template. */
export type RewriteKey = "clientId" | "username" | "password" | "willTopicPrefix" | "userProperties";

/** A template that is none. */
export interface RewriteProblem {
  readonly key: RewriteKey;
  /** The user property whose name or value it is. */
  readonly property: string | undefined;
  readonly reason: string;
  readonly suggestion: string | undefined;
}

const TARGETS: Readonly<Record<RewriteKey, TemplateTarget>> = { clientId: "client_id", username: "text", password: "text", willTopicPrefix: "topic", userProperties: "text" };

/** The rule, or everything that keeps its texts from being one. */
export function parseRewrite(texts: RewriteTexts): RewriteRule | readonly RewriteProblem[] {
  const problems: RewriteProblem[] = [];
  const parse = (key: RewriteKey, text: string, property?: string): Template => {
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

interface Place {
  readonly key: RewriteKey;
  /** The user property whose value it is. */
  readonly property: string | undefined;
  readonly template: Template;
}

/** Every template of a rule, and where it stands. */
export function templatesOf(rule: RewriteRule): readonly Place[] {
  const places: Place[] = [];
  for (const key of ["clientId", "username", "password", "willTopicPrefix"] as const) {
    const template = rule[key];
    if (template) places.push({ key, property: undefined, template });
  }
  for (const [property, template] of rule.userProperties ?? []) places.push({ key: "userProperties", property, template });
  return places;
}
