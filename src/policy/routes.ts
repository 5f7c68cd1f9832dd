import type { RouteConfig } from "../config/types.ts";
import { matchesGlob } from "../lib/glob.ts";
import { includesAddress, parseNetwork, type Network } from "../lib/network.ts";
import type { Version } from "../mqtt/fault.ts";
import { matchesServerName } from "../transport/tls_hello/server_name.ts";

/** What routes go by. */
export interface RouteKey {
  readonly listener: string;
  readonly address: string;
  /** In lower case; undefined: no TLS, or the client named none. */
  readonly serverName: string | undefined;
  /** The protocol that was agreed on; where TLS is passed through, all that the client offers. */
  readonly alpn: readonly string[];
  /** undefined: TLS is passed through, and nobody knows. A route that asks for any of it does not fit then. */
  readonly connect: RouteConnect | undefined;
}

/** What a client says in CONNECT, and its certificate. */
export interface RouteConnect {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly version: Version;
  readonly commonName: string | undefined;
  /** Of every kind. */
  readonly alternativeNames: readonly string[];
  /** Read only when a route asks. */
  userProperties(): readonly (readonly [name: string, value: string])[];
}

type Condition = (key: RouteKey) => boolean;

/** The rules of a configuration, made ready once. */
export class Routes {
  readonly #rules: readonly { readonly config: RouteConfig; readonly conditions: readonly Condition[] }[];

  constructor(configs: readonly RouteConfig[]) {
    this.#rules = configs.map((config) => ({ config, conditions: conditionsOf(config) }));
  }

  get isEmpty(): boolean {
    return this.#rules.length === 0;
  }

  /** The first that fits; undefined: none does, and the listener's own pool it is. */
  find(key: RouteKey): RouteConfig | undefined {
    for (const rule of this.#rules) if (fits(rule.conditions, key)) return rule.config;
    return undefined;
  }
}

function fits(conditions: readonly Condition[], key: RouteKey): boolean {
  for (const condition of conditions) if (!condition(key)) return false;
  return true;
}

/** Cheap ones first. */
function conditionsOf(config: RouteConfig): Condition[] {
  const { listeners, alpn, serverNames, addresses, versions, clientIds, usernames, commonNames, alternativeNames, userProperties } = config;
  const conditions: Condition[] = [];
  const ask = (wanted: unknown, condition: Condition) => void (wanted !== undefined && conditions.push(condition));
  const askConnect = (wanted: unknown, condition: (connect: RouteConnect) => boolean) =>
    ask(wanted, ({ connect }) => connect !== undefined && condition(connect));
  ask(listeners, ({ listener }) => listeners!.includes(listener));
  ask(alpn, (key) => alpn!.some((protocol) => key.alpn.includes(protocol)));
  ask(serverNames, ({ serverName }) => serverName !== undefined && serverNames!.some((pattern) => matchesServerName(pattern, serverName)));
  const networks = (addresses ?? []).map((network) => parseNetwork(network) as Network);
  ask(addresses, ({ address }) => includesAddress(networks, address));
  askConnect(versions, ({ version }) => versions!.includes(version));
  askConnect(clientIds, ({ clientId }) => matchesAny(clientIds!, clientId));
  askConnect(usernames, ({ username }) => username !== undefined && matchesAny(usernames!, username));
  askConnect(commonNames, ({ commonName }) => commonName !== undefined && matchesAny(commonNames!, commonName));
  askConnect(alternativeNames, (connect) => connect.alternativeNames.some((name) => matchesAny(alternativeNames!, name)));
  askConnect(userProperties, (connect) => {
    const properties = connect.userProperties();
    return userProperties!.every(([wanted, pattern]) => properties.some(([name, value]) => name === wanted && matchesGlob(pattern, value)));
  });
  return conditions;
}

function matchesAny(patterns: readonly string[], text: string): boolean {
  return patterns.some((pattern) => matchesGlob(pattern, text));
}
