/** The rule of the floors (ARCHITECTURE.md) as a function over sources, so that it can itself be tested. */

/** Path from the root of the checkout, with forward slashes, to the text. */
export type Sources = ReadonlyMap<string, string>;

export const LINES_MAX = 400;

/** Lower floors know nothing of higher ones. A file that lies directly in src/ has its own name here. */
const FLOORS: ReadonlyMap<string, number> = new Map([
  ["lib", 0],
  ["runtime", 0],
  ["mqtt", 1],
  ["transport", 1],
  ["config", 1],
  ["observe", 1],
  ["pool", 2],
  ["policy", 2],
  ["session", 3],
  ["server", 4],
  ["cli", 5],
  ["main.ts", 5],
  ["index.ts", 5],
]);

/** Neighbours that may be used all the same: importer, imported. */
const NEIGHBOURS: ReadonlySet<string> = new Set(["runtime lib", "config transport", "main.ts cli", "index.ts cli"]);

/** The only files that choose a runtime; everything else is given one. */
const RUNTIME_CHOOSERS: ReadonlySet<string> = new Set(["src/main.ts", "src/index.ts"]);

/** Packages that one command or an error needs: imported at the top they would cost every start its memory. */
const LATE_PACKAGES: ReadonlySet<string> = new Set(["aedes", "@valibot/to-json-schema", "toml-eslint-parser", "@peculiar/x509", "reflect-metadata", "jose", "@noble/hashes/argon2.js"]);

export interface Import {
  readonly specifier: string;
  /** `import()`: read only when that line runs. */
  readonly late: boolean;
  /** `import type`: gone before it runs, and still knowledge of the other. */
  readonly typeOnly: boolean;
}

/** Every import of a source: static, for its effect only, of types, re-exports, dynamic. */
export function readImports(source: string): Import[] {
  const text = source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[^:"'`\\])\/\/.*$/gm, "$1");
  const found: Import[] = [];
  for (const [, keyword = "", words = "", specifier = ""] of text.matchAll(
    /(?:^|;)\s*(import|export)\b([^"';]*?\bfrom)?\s*["']([^"']+)["']/gm,
  )) {
    if (keyword === "export" && words === "") continue; // export default "text"
    found.push({ specifier, late: false, typeOnly: /^\s+type\b(?!\s+from)/.test(words) });
  }
  for (const [, specifier = ""] of text.matchAll(/\bimport\s*\(\s*["'`]([^"'`]+)["'`]/g)) {
    found.push({ specifier, late: true, typeOnly: false });
  }
  return found;
}

/** Everything in these sources that breaks a rule, one sentence each. */
export function findViolations(sources: Sources): string[] {
  const problems: string[] = [];
  for (const [path, text] of sources) {
    if (!path.startsWith("src/")) continue;
    const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
    if (lines > LINES_MAX) problems.push(`${path} has ${lines} lines, at most ${LINES_MAX} are allowed`);
    if (!FLOORS.has(folderOf(path))) problems.push(`${path} lies in no folder that has a floor`);
    for (const one of readImports(text)) {
      const problem = judge(path, one);
      if (problem !== undefined) problems.push(`${path} ${problem}`);
    }
  }
  return problems;
}

function judge(path: string, { specifier }: Import): string | undefined {
  if (specifier === "#runtime") return RUNTIME_CHOOSERS.has(path) ? undefined : "chooses a runtime: only src/main.ts and src/index.ts do";
  if (!specifier.startsWith(".")) return undefined;
  const target = resolveImport(path, specifier);
  if (!target.startsWith("src/")) return `imports ${target}, which is no part of the program`;
  const from = folderOf(path);
  const to = folderOf(target);
  const fromFloor = FLOORS.get(from) ?? -1;
  const toFloor = FLOORS.get(to) ?? Number.POSITIVE_INFINITY;
  if (from === to || NEIGHBOURS.has(`${from} ${to}`)) return undefined;
  if (toFloor > fromFloor) return `climbs: it imports ${target} from floor ${toFloor}, its own is ${fromFloor}`;
  if (toFloor === fromFloor) return `imports ${target} of a neighbour on the same floor`;
  return undefined;
}

/** Files under src/ that no import leads to, from the program, the library or a test. */
export function findUnreached(sources: Sources, adapters: readonly string[]): string[] {
  const roots = [...sources.keys()].filter((path) => RUNTIME_CHOOSERS.has(path) || !path.startsWith("src/"));
  const reached = walk(sources, adapters, roots, () => true);
  return [...sources.keys()].filter((path) => path.startsWith("src/") && !reached.has(path));
}

/** Where a package of a rare command would be loaded at every start. */
export function findEagerPackages(sources: Sources, adapters: readonly string[]): string[] {
  const eager = (one: Import): boolean => !one.late && !one.typeOnly;
  const loaded = walk(sources, adapters, [...RUNTIME_CHOOSERS], eager);
  return [...loaded].flatMap((path) =>
    readImports(sources.get(path) ?? "")
      .filter((one) => eager(one) && LATE_PACKAGES.has(one.specifier))
      .map((one) => `${path} loads ${one.specifier} at every start: reach it by import()`),
  );
}

function walk(
  sources: Sources,
  adapters: readonly string[],
  roots: readonly string[],
  follows: (one: Import) => boolean,
): ReadonlySet<string> {
  const reached = new Set<string>();
  const todo = [...roots];
  for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
    const text = sources.get(path);
    if (reached.has(path) || text === undefined) continue;
    reached.add(path);
    for (const one of readImports(text)) {
      if (!follows(one)) continue;
      if (one.specifier === "#runtime") todo.push(...adapters);
      else if (one.specifier.startsWith(".")) todo.push(resolveImport(path, one.specifier));
    }
  }
  return reached;
}

function folderOf(path: string): string {
  return path.split("/")[1] ?? "";
}

function resolveImport(from: string, specifier: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}
