import { templatesOf } from "./rewrite_rule.ts";
import type { AuthenticationConfig, Configuration, PoolConfig, RouteConfig } from "./types.ts";

/** What a configuration says that is allowed and was hardly meant so. */
export function warningsOf(configuration: Configuration): string[] {
  return [...unguardedPools(configuration), ...deadRoutes(configuration.routes ?? []), ...unusedPools(configuration)];
}

/**
 * Where some clients are checked, the pool behind them may speak to its brokers for whom the check has found. Clients of a listener that is left
 * out of it get the same, for whatever they say.
 */
function* unguardedPools({ authentication, listeners, pools, routes = [] }: Configuration): Iterable<string> {
  if (authentication === undefined || authentication.checks.length === 0) return;
  for (const listener of listeners) {
    if (listener.tls === "passthrough" || isGuarded(listener.name, authentication)) continue;
    for (const pool of pools) {
      const isReached = listener.pool === pool.name || routes.some((route) => route.pool === pool.name && (route.listeners?.includes(listener.name) ?? true));
      const words = isReached ? trustOf(pool) : undefined;
      if (words !== undefined) yield `listener "${listener.name}" is not checked, and ${words}`;
    }
  }
}

const isGuarded = (listener: string, { listeners }: AuthenticationConfig) => listeners.includes(listener);

/** What the pool does for its clients as if somebody had checked them. */
function trustOf({ name, connect }: PoolConfig): string | undefined {
  if (connect === undefined) return undefined;
  const isFixed = connect.username === null || connect.username?.parts.every((part) => typeof part === "string");
  if (connect.password) return `its clients get the password of pool "${name}"${isFixed ? "" : " under whatever user name they say"}`;
  const believes = templatesOf(connect).some(({ template }) => template.parts.some((part) => typeof part === "object" && part.name === "username"));
  return believes ? `in [pools.${name}.connect] whatever user name its clients say stands for \${username}` : undefined;
}

function* deadRoutes(routes: readonly RouteConfig[]): Iterable<string> {
  const index = routes.findIndex(takesEverybody);
  const [dead, ...more] = index < 0 ? [] : routes.slice(index + 1);
  if (dead !== undefined) yield `${routes[index]?.name} takes everybody: ${dead.name} ${more.length === 0 ? "is" : "and those behind it are"} never asked`;
}

function takesEverybody({ name: _name, pool: _pool, refuse: _refuse, ...conditions }: RouteConfig): boolean {
  return Object.values(conditions).every((condition) => condition === undefined);
}

function* unusedPools({ listeners, pools, routes = [] }: Configuration): Iterable<string> {
  const used = new Set([...listeners, ...routes].map(({ pool }) => pool));
  for (const { name } of pools) if (!used.has(name)) yield `pool "${name}" is used by no listener and no route`;
}
