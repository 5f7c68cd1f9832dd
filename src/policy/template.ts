import { CLAIM, isPlainText, type Template, type TemplateTarget, type VARIABLES } from "../config/template.ts";

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

/** Why there is no text for this client: the name of a variable, never its value. */
export interface Unexpandable {
  readonly detail: string;
}

type Read = (client: TemplateClient) => string | undefined;

const READ: Readonly<Record<(typeof VARIABLES)[number], Read>> = {
  "client.id": ({ clientId }) => clientId,
  username: ({ username }) => username,
  "tls.cn": ({ certificate }) => certificate?.commonName,
  "tls.san": ({ certificate }) => certificate?.names.dns[0],
  "tls.fingerprint": ({ certificate }) => certificate?.fingerprint,
  address: ({ address }) => address,
  port: ({ port }) => String(port),
  listener: ({ listener }) => listener,
  sni: ({ serverName }) => serverName,
  version: ({ version }) => (version === 3 ? "3.1" : version === 4 ? "3.1.1" : "5"),
};

/**
 * The text for this client. A value that is missing or empty and has no default, or that must not stand there, leaves it without. `without`: a
 * variable that is taken for missing.
 */
export function expandTemplate({ target, parts }: Template, client: TemplateClient, without?: string): string | Unexpandable {
  let text = "";
  for (const part of parts) {
    if (typeof part === "string") text += part;
    else {
      const value = part.name === without ? undefined : valueOf(part.name, client) || undefined;
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
  if (name.startsWith(CLAIM)) return claimOf(name.slice(CLAIM.length), client.claims);
  return READ[name as keyof typeof READ](client); // the parser takes no other
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
