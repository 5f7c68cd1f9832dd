import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { findEagerPackages, findUnreached, findViolations, LINES_MAX, readImports, type Sources } from "./floors.ts";

function readSources(...folders: readonly string[]): Sources {
  const sources = new Map<string, string>();
  for (const folder of folders) {
    for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
      const path = `${folder}/${name.replaceAll("\\", "/")}`;
      if (path.endsWith(".ts")) sources.set(path, readFileSync(path, "utf8"));
    }
  }
  return sources;
}

function violations(...files: readonly (readonly [path: string, text: string])[]): string[] {
  return findViolations(new Map(files));
}

const ADAPTERS: readonly string[] = Object.values(
  JSON.parse(readFileSync("package.json", "utf8")).imports["#runtime"] as Record<string, string>,
).map((path) => path.replace("./", ""));

test("no file of src climbs, leans on a neighbour, chooses a runtime or is too long", () => {
  const sources = readSources("src");
  assert.ok(sources.size > 10, "src was found");
  assert.deepEqual(findViolations(sources), []);
});

test("every file of src is reached from the program, the library or a test", () => {
  assert.deepEqual(findUnreached(readSources("src", "test"), ADAPTERS), []);
});

test("findViolations sees a climbing import in every form that an import has", () => {
  for (const line of [
    'import { Session } from "../session/session.ts";',
    'import type { Session } from "../session/session.ts";',
    'import { type Session,\n  other } from "../session/session.ts";',
    'import * as all from "../session/session.ts";',
    'import "../session/session.ts";',
    'export { Session } from "../session/session.ts";',
    'export * from "../session/session.ts";',
    'const late = await import("../session/session.ts");',
    'type Late = import("../session/session.ts").Session;',
    'const first = 1; // a remark\nimport { Session } from "../session/session.ts";',
  ]) {
    const found = violations(["src/mqtt/frame.ts", line]);
    assert.deepEqual(found, ["src/mqtt/frame.ts climbs: it imports src/session/session.ts from floor 3, its own is 1"], line);
  }
});

test("findViolations allows what the floors allow", () => {
  assert.deepEqual(
    violations(
      ["src/session/relay.ts", 'import { a } from "../mqtt/frame.ts";\nimport { b } from "./side.ts";\nimport "node:net";'],
      ["src/pool/balance/random.ts", 'import { pick } from "../pool.ts";'],
      ["src/runtime/bun.ts", 'import { wheel } from "../lib/wheel.ts";'],
      ["src/main.ts", 'import { runtime } from "#runtime";\nimport { run } from "./cli/run.ts";'],
      ["src/lib/text.ts", '// import { x } from "../server/x.ts"\n/* import "../cli/y.ts" */ export const url = "https://a";'],
    ),
    [],
  );
});

test("findViolations refuses neighbours on the same floor, types too", () => {
  const found = violations(
    ["src/mqtt/frame.ts", 'import type { Limits } from "../config/types.ts";'],
    ["src/lib/text.ts", 'import type { System } from "../runtime/types.ts";'],
    ["src/cli/run.ts", 'import { x } from "../main.ts";'],
  );
  assert.equal(found.length, 3);
  assert.match(found[0] ?? "", /frame\.ts imports src\/config\/types\.ts of a neighbour on the same floor/);
});

test("findViolations refuses a second place that chooses the runtime", () => {
  const found = violations(["src/server/listener.ts", 'import { runtime } from "#runtime";']);
  assert.match(found[0] ?? "", /listener\.ts chooses a runtime/);
});

test("findViolations refuses imports from outside src, folders without a floor and long files", () => {
  assert.match(violations(["src/lib/a.ts", 'import "../../test/support/seed.ts";'])[0] ?? "", /no part of the program/);
  assert.match(violations(["src/utils/a.ts", ""])[0] ?? "", /no folder that has a floor/);
  assert.deepEqual(violations(["src/lib/a.ts", "\n".repeat(LINES_MAX)]), []);
  assert.match(violations(["src/lib/a.ts", "\n".repeat(LINES_MAX + 1)])[0] ?? "", /has 401 lines/);
});

test("packages of rare commands are not loaded at every start", () => {
  assert.deepEqual(findEagerPackages(readSources("src"), ADAPTERS), []);
});

test("findEagerPackages sees a package behind static imports, not behind a late one", () => {
  const sources = new Map([
    ["src/main.ts", 'import { a } from "./cli/a.ts";\nawait import("./cli/b.ts");'],
    ["src/cli/a.ts", 'import type { Aedes } from "aedes";\nimport { parseTOML } from "toml-eslint-parser";'],
    ["src/cli/b.ts", 'import { Aedes } from "aedes";'],
  ]);
  assert.deepEqual(findEagerPackages(sources, []), [
    "src/cli/a.ts loads toml-eslint-parser at every start: reach it by import()",
  ]);
});

test("findUnreached sees a file that nobody imports, and follows #runtime", () => {
  const sources = new Map([
    ["src/main.ts", 'import { runtime } from "#runtime"; import { a } from "./cli/a.ts";'],
    ["src/cli/a.ts", "export const a = 1;"],
    ["src/cli/b.ts", 'import { a } from "./a.ts";'],
    ["src/runtime/bun.ts", ""],
    ["src/lib/tested.ts", ""],
    ["test/lib/tested.test.ts", 'import "../../src/lib/tested.ts";'],
  ]);
  assert.deepEqual(findUnreached(sources, ["src/runtime/bun.ts"]), ["src/cli/b.ts"]);
});

test("readImports tells late and type-only imports from others", () => {
  const found = readImports('import type from "./a.ts";\nimport type { B } from "./b.ts";\nvoid import("./c.ts");');
  assert.deepEqual(found, [
    { specifier: "./a.ts", late: false, typeOnly: false },
    { specifier: "./b.ts", late: false, typeOnly: true },
    { specifier: "./c.ts", late: true, typeOnly: false },
  ]);
});
