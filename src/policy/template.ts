import { suggest } from "../lib/suggest.ts";

/** What is known of a client when its CONNECT is rewritten. */
export interface TemplateClient {
  readonly clientId: string;
  /** The one that authentication found; without it, the client's own. */
  readonly username: string | undefined;
  readonly certificate: TemplateCertificate | undefined;
  readonly address: string;
  readonly port: number;
  /** The name of the listener that it came to. */
  readonly listener: string;
  readonly serverName: string | undefined;
  readonly version: 3 | 4 | 5;
  /** Of its token. */
  readonly claims: Readonly<Record<string, unknown>> | undefined;
}

/** Of a verified certificate what a template can name; any object that has as much will do. */
export interface TemplateCertificate {
  readonly commonName: string | undefined;
  readonly names: { readonly dns: readonly string[] };
  readonly fingerprint: string | undefined;
}

/**
 * What the text is for. In a client identifier and in a topic a value must stay within its level: brokers put identifiers into the
 * patterns of their rules (CVE-2017-7650).
 */
export type TemplateTarget = "text" | "client_id" | "topic";

/** A text with places for values of a client, parsed once. */
export interface Template {
  readonly target: TemplateTarget;
  readonly parts: readonly (string | Variable)[];
}

interface Variable {
  readonly name: string;
  /** Stands in for a value that is missing or empty. */
  readonly fallback: string | undefined;
}

/** What keeps a text from being a template; no secret is in it. */
export interface TemplateProblem {
  readonly reason: string;
  readonly suggestion: string | undefined;
}

/** Why there is no text for this client: the name of a variable, never its value. */
export interface Unexpandable {
  readonly detail: string;
}

const VARIABLES: ReadonlyMap<string, (client: TemplateClient) => string | undefined> = new Map([
  ["client.id", ({ clientId }: TemplateClient) => clientId],
  ["username", ({ username }) => username],
  ["tls.cn", ({ certificate }) => certificate?.commonName],
  ["tls.san", ({ certificate }) => certificate?.names.dns[0]],
  ["tls.fingerprint", ({ certificate }) => certificate?.fingerprint],
  ["address", ({ address }) => address],
  ["port", ({ port }) => String(port)],
  ["listener", ({ listener }) => listener],
  ["sni", ({ serverName }) => serverName],
  ["version", ({ version }) => (version === 3 ? "3.1" : version === 4 ? "3.1.1" : "5")],
]);
const CLAIM = "claims.";

/** Controls may not stand in MQTT's texts (MQTT 5 section 1.5.4 forbids U+0000, discourages the rest); half of a surrogate pair would become U+FFFD, and two names one. */
const UNFIT = /[\p{Cc}\p{Cs}]/u;

/**
 * Parses `dev/${client.id}/x`. A variable may have a default, `${username:-nobody}`, which is plain text; `$${` stands for `${`. What
 * a variable brings is never parsed.
 */
export function parseTemplate(text: string, target: TemplateTarget): Template | TemplateProblem {
  const parts: (string | Variable)[] = [];
  let plain = "";
  for (let at = 0; at < text.length; ) {
    if (text.startsWith("$${", at)) {
      plain += "${";
      at += 3;
    } else if (text.startsWith("${", at)) {
      const end = text.indexOf("}", at);
      if (end < 0) return problem("a variable is not closed with }", "write $${ for the characters ${");
      const variable = parseVariable(text.slice(at + 2, end), target);
      if ("reason" in variable) return variable;
      if (plain !== "") parts.push(plain);
      parts.push(variable);
      plain = "";
      at = end + 1;
    } else plain += text[at++];
  }
  if (plain !== "") parts.push(plain);
  const unfit = parts.find((part) => typeof part === "string" && !isFitText(part, target));
  return unfit === undefined ? { target, parts } : problem(unfitReason(target));
}

function parseVariable(expression: string, target: TemplateTarget): Variable | TemplateProblem {
  const colon = expression.indexOf(":-");
  const name = colon < 0 ? expression : expression.slice(0, colon);
  const fallback = colon < 0 ? undefined : expression.slice(colon + 2);
  if (fallback?.includes("${")) return problem("a default with a variable in it: expected plain text");
  if (fallback !== undefined && !isFitText(fallback, target)) return problem(unfitReason(target));
  if (VARIABLES.has(name) || (name.startsWith(CLAIM) && name.length > CLAIM.length)) return { name, fallback };
  const names = [...VARIABLES.keys(), `${CLAIM}sub`];
  const near = suggest(name, names);
  return problem(`there is no variable ${JSON.stringify(name)}: expected one of ${names.slice(0, -1).join(", ")}, claims.<name>`, near && `did you mean \${${near}}?`);
}

function problem(reason: string, suggestion?: string): TemplateProblem {
  return { reason, suggestion };
}

/** Whether MQTT's texts may have it, and one can read it. */
export function isPlainText(text: string): boolean {
  return !UNFIT.test(text);
}

/** Levels of the text itself are the operator's; wildcards are nobody's. */
const isFitText = (text: string, target: TemplateTarget) => isPlainText(text) && (target === "text" || !/[+#]/.test(text));
const unfitReason = (target: TemplateTarget) => (target === "text" ? "it has a control character" : "it has a control character or a wildcard (+ or #)");

/** The text for this client. A value that is missing or empty and has no default, or that must not stand there, leaves it without. */
export function expandTemplate({ target, parts }: Template, client: TemplateClient): string | Unexpandable {
  let text = "";
  for (const part of parts) {
    if (typeof part === "string") text += part;
    else {
      const value = valueOf(part.name, client) || undefined;
      const objection = value === undefined ? undefined : objectionTo(value, target, text === "");
      if (objection !== undefined) return { detail: `the client's ${part.name} has ${objection}` };
      const used = value ?? part.fallback;
      if (used === undefined) return { detail: `the client has no ${part.name}` };
      text += used;
    }
  }
  return text;
}

function valueOf(name: string, client: TemplateClient): string | undefined {
  const read = VARIABLES.get(name);
  return read === undefined ? claimOf(name.slice(CLAIM.length), client.claims) : read(client);
}

/** Texts, numbers and truth values are texts here; a list, a table or null is none. */
function claimOf(name: string, claims: TemplateClient["claims"]): string | undefined {
  const value = claims !== undefined && Object.hasOwn(claims, name) ? claims[name] : undefined;
  return typeof value === "string" || Number.isFinite(value) || typeof value === "boolean" ? String(value) : undefined;
}

/** A topic that begins with $ is one of the broker's own: MQTT 5 section 4.7.2. */
function objectionTo(value: string, target: TemplateTarget, isFirst: boolean): string | undefined {
  if (!isPlainText(value)) return "a control character or half of a surrogate pair";
  if (target === "text") return undefined;
  if (/[+#/]/.test(value)) return "one of + # /, which may not stand there";
  return isFirst && value.startsWith("$") ? "a $ at its beginning, which may not stand there" : undefined;
}
