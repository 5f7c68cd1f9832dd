import { suggest } from "../lib/suggest.ts";

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

/** A value of the client: one of VARIABLES, or a claim of its token. */
export interface Variable {
  readonly name: string;
  /** Stands in for a value that is missing or empty. */
  readonly fallback: string | undefined;
}

/** What keeps a text from being a template; no secret is in it. */
export interface TemplateProblem {
  readonly reason: string;
  readonly suggestion: string | undefined;
}

/** What a template can name, besides the claims of a token; policy/template.ts knows where each comes from. */
export const VARIABLES = ["client.id", "username", "tls.cn", "tls.san", "tls.fingerprint", "address", "port", "listener", "sni", "version"] as const;
/** In front of the name of a claim. */
export const CLAIM = "claims.";
const NAMES: readonly string[] = VARIABLES;

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
  if (NAMES.includes(name) || (name.startsWith(CLAIM) && name.length > CLAIM.length)) return { name, fallback };
  const names = [...NAMES, `${CLAIM}sub`];
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
