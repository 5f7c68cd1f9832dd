import { pathText, type KeyPath } from "./problem.ts";
import type { Refuse } from "./meaning_route.ts";
import { parseRewrite, type RewriteKey, templatesOf } from "./rewrite_rule.ts";
import type { ParsedInput } from "./schema.ts";
import { CLAIM } from "./template.ts";
import type { AuthenticationConfig, BrokerConfig, ListenerConfig, PoolConfig } from "./types.ts";

type ParsedConnect = NonNullable<ParsedInput["pools"][string]["connect"]>;

const KEYS: Readonly<Record<RewriteKey, string>> = {
  clientId: "client_id", username: "username", password: "password", willTopicPrefix: "will_topic_prefix", userProperties: "user_properties",
};

/** How the CONNECTs for a pool are rewritten. */
export function resolveConnect(connect: ParsedConnect, path: KeyPath, brokers: readonly BrokerConfig[], refuse: Refuse): Pick<PoolConfig, "connect"> {
  const { client_id: clientId, username, password, session_expiry_max: expiryMs, will_topic_prefix: willTopicPrefix, user_properties: properties } = connect;
  if (Object.values(connect).every((value) => value === undefined)) refuse(path, `${pathText(path)} is empty: expected something to change`);
  if (expiryMs !== undefined && expiryMs % 1_000 !== 0) refuse([...path, "session_expiry_max"], `cannot use ${pathText([...path, "session_expiry_max"])}: expected whole seconds`);
  checkCredentials({ username, password }, path, brokers, refuse);
  const rule = parseRewrite({
    clientId,
    username: username === false ? null : username,
    password: password === false ? null : password,
    sessionExpiryMaxSeconds: expiryMs === undefined ? undefined : Math.floor(expiryMs / 1_000),
    willTopicPrefix,
    userProperties: properties && Object.entries(properties),
  });
  if ("clientId" in rule) return { connect: rule };
  for (const { key, property, reason, suggestion } of rule) {
    const at = placeOf(path, key, property);
    refuse(at, `cannot use ${pathText(at)}: ${reason}`, suggestion);
  }
  return {};
}

/** Those in a broker's URL replace whatever a CONNECT has. */
function checkCredentials(given: Pick<ParsedConnect, "username" | "password">, path: KeyPath, brokers: readonly BrokerConfig[], refuse: Refuse): void {
  const named = brokers.find(({ username }) => username !== undefined);
  if (named === undefined) return;
  for (const key of ["username", "password"] as const) {
    if (given[key] === undefined) continue;
    const at = pathText([...path, key]);
    refuse([...path, key], `${at} is given beside a user in the URL of broker "${named.name}": expected one of the two`, "remove the user from the URL, or this key");
  }
}

function placeOf(path: KeyPath, key: RewriteKey, property: string | undefined): KeyPath {
  return [...path, KEYS[key], ...(property === undefined ? [] : [property])];
}

/** A value that no client can ever have, and that has no default, would turn every client away. */
export function refuseUnknowable(pools: readonly PoolConfig[], known: { readonly listeners: readonly ListenerConfig[]; readonly authentication: AuthenticationConfig | undefined }, refuse: Refuse): void {
  const hasTokens = known.authentication?.checks.some(({ type }) => type === "jwt") ?? false;
  // A PROXY header can tell of TLS as well.
  const hasTls = known.listeners.some(({ tls, proxyProtocol }) => tls !== undefined || proxyProtocol !== undefined);
  for (const { name, connect } of pools) {
    if (connect === undefined) continue;
    for (const { key, property, template } of templatesOf(connect)) {
      const at = placeOf(["pools", name, "connect"], key, property);
      const without = (variable: string, reason: string): void => refuse(at, `cannot use ${pathText(at)}: no client has \${${variable}}, ${reason}`, `write \${${variable}:-something} for a default`);
      for (const part of template.parts) {
        if (typeof part === "string" || part.fallback !== undefined) continue;
        if (part.name.startsWith(CLAIM) && !hasTokens) without(part.name, "which comes from a token: expected a check of type jwt in [[authentication.checks]]");
        if (/^(tls\.|sni$)/.test(part.name) && !hasTls) without(part.name, "which comes from TLS: expected a listener with tls");
      }
    }
  }
}
