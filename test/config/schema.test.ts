import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { parse } from "smol-toml";
import { jsonSchema } from "../../src/config/json_schema.ts";
import { resolveDocument } from "../../src/config/resolve.ts";

interface Schema {
  readonly $schema?: string;
  readonly type?: string;
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Record<string, Schema>;
  readonly required?: string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly anyOf?: Schema[];
  readonly enum?: unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly minItems?: number;
}

const schema = jsonSchema() as Schema;
const example = await readFile("config.example.toml", "utf8");
/** With the lines that are only examples switched on. */
const exampleInFull = example.replace(/^#(?=[\w[])/gm, "");

/** The part of draft-07 that our schema uses: the first thing that does not fit. */
function misfit(node: Schema, value: unknown, at: string): string | undefined {
  if (node.anyOf) return node.anyOf.some((each) => misfit(each, value, at) === undefined) ? undefined : `${at}: no choice fits`;
  const type = Array.isArray(value) ? "array" : Number.isInteger(value) ? "integer" : typeof value;
  if (node.type !== type) return `${at}: ${type}, expected ${node.type}`;
  if (node.enum && !node.enum.includes(value)) return `${at}: not in the list`;
  if (typeof value === "string") return (node.pattern && !new RegExp(node.pattern, "u").test(value)) || value.length < (node.minLength ?? 0) ? `${at}: text` : undefined;
  if (typeof value === "number") return value < (node.minimum ?? -Infinity) || value > (node.maximum ?? Infinity) ? `${at}: range` : undefined;
  if (Array.isArray(value)) {
    if (value.length < (node.minItems ?? 0)) return `${at}: too few`;
    return value.map((item, index) => misfit(node.items!, item, `${at}[${index}]`)).find((each) => each !== undefined);
  }
  if (typeof value !== "object") return undefined;
  const table = value as Record<string, unknown>;
  const missing = node.required?.find((key) => !(key in table));
  if (missing !== undefined) return `${at}.${missing}: missing`;
  for (const [key, inner] of Object.entries(table)) {
    const next = node.properties?.[key] ?? node.additionalProperties;
    if (typeof next !== "object") return `${at}.${key}: unknown`;
    const found = misfit(next, inner, `${at}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Every key of the schema with its own description. */
function keysOf(node: Schema, found: [string, Schema][] = []): [string, Schema][] {
  for (const [key, inner] of Object.entries(node.properties ?? {})) found.push([key, inner]);
  for (const inner of [...Object.values(node.properties ?? {}), node.items, ...(node.anyOf ?? []), node.additionalProperties]) {
    if (typeof inner === "object") keysOf(inner, found);
  }
  return found;
}

describe("jsonSchema", () => {
  test("is draft-07 and says so", () => {
    assert.match(schema.$schema ?? "", /draft-07/);
    assert.equal(schema.type, "object");
    assert.equal(schema.additionalProperties, false);
  });

  test("every key has a title and a description", () => {
    const keys = keysOf(schema);
    assert.ok(keys.length > 25);
    for (const [key, { title, description }] of keys) assert.ok(title && description, key);
  });

  test("shows defaults as one would type them", () => {
    assert.equal(schema.properties?.["limits"]?.properties?.["dial_timeout"]?.default, "5s");
    assert.equal(schema.properties?.["limits"]?.properties?.["packet_size_max"]?.default, "256MiB");
    assert.equal(schema.properties?.["log"]?.properties?.["level"]?.default, "info");
  });

  test("accepts config.example.toml, and refuses what resolveDocument refuses", () => {
    assert.equal(misfit(schema, parse(example), ""), undefined);
    assert.equal(misfit(schema, parse(exampleInFull), ""), undefined);
    for (const wrong of [{ lgo: {} }, { log: { level: "x" } }, { limits: { dial_timeout: 5 } }, { listeners: [{}] }, { pools: { a: { brokers: [] } } }]) {
      assert.notEqual(misfit(schema, wrong, ""), undefined, JSON.stringify(wrong));
      assert.ok(resolveDocument(wrong).problems);
    }
  });
});

describe("config.example.toml", () => {
  test("is valid as it stands, and with its examples switched on", () => {
    for (const text of [example, exampleInFull]) assert.deepEqual(resolveDocument(parse(text)).problems, undefined);
    assert.ok(parse(exampleInFull)["listeners"] !== undefined && exampleInFull !== example);
  });

  test("has every key", () => {
    for (const [key] of keysOf(schema)) assert.match(exampleInFull, new RegExp(`(^|[\\s{[.])${key}(\\]| =|\\.)`, "m"), key);
  });

  test("its limits and log are the defaults", () => {
    const { log, limits } = parse(example) as Record<string, Record<string, unknown>>;
    for (const [section, values] of Object.entries({ log, limits })) {
      const keys = schema.properties?.[section]?.properties ?? {};
      const defaults = Object.entries(keys).filter(([, node]) => node.default !== undefined);
      assert.deepEqual(Object.fromEntries(defaults.map(([key, node]) => [key, node.default])), { ...values });
    }
  });
});
