import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { ARTEFACTS, runToEnd } from "../support/process.ts";
import { readImports } from "./floors.ts";

const VERSION: string = JSON.parse(readFileSync("package.json", "utf8")).version;

test("the executable runs no foreign bunfig.toml and reads no .env of the directory where it is started", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "sluice-foreign-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const trace = join(directory, "trace");
  writeFileSync(join(directory, "bunfig.toml"), 'preload = ["./foreign.ts"]\n');
  writeFileSync(
    join(directory, "foreign.ts"),
    `import { writeFileSync } from "node:fs"; writeFileSync(${JSON.stringify(trace)}, process.env.FROM_DOTENV ?? "");`,
  );
  writeFileSync(join(directory, ".env"), "FROM_DOTENV=1\nBUN_OPTIONS=--preload ./foreign.ts\nNO_COLOR=1\n");
  writeFileSync(join(directory, "tsconfig.json"), "not even JSON");
  const ran = await runToEnd([resolve(ARTEFACTS.bun[0] as string), "version"], { cwd: directory });
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, new RegExp(VERSION.replaceAll(".", "\\.")));
  assert.throws(() => statSync(trace), /ENOENT/);

  // the same directory does run code in Bun itself: what was laid out there is a trap that works
  const bun = await runToEnd([resolve("node_modules/.bin/bun"), "run", "./foreign.ts"], { cwd: directory });
  assert.equal(bun.code, 0, bun.stderr);
  assert.equal(readFileSync(trace, "utf8"), "1");
});

for (const [runtime, command] of Object.entries(ARTEFACTS)) {
  test(`the artefact for ${runtime} starts and knows its version`, async () => {
    const ran = await runToEnd([...command, "version"]);
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stdout, new RegExp(VERSION.replaceAll(".", "\\.")));
  });
}

test("each artefact carries its own adapter alone", () => {
  const native = {
    bun: /\bBun\s*\.\s*(listen|connect)\(/,
    deno: /\bDeno\s*\.\s*(listen|listenTls|connect|connectTls)\(/,
  };
  for (const [file, foreign] of [
    ["sluice.node.js", native.bun],
    ["sluice.node.js", native.deno],
    ["sluice.deno.js", native.bun],
    ["index.node.js", native.bun],
    ["index.node.js", native.deno],
    ["index.deno.js", native.bun],
    ["index.bun.js", native.deno],
  ] as const) {
    assert.doesNotMatch(readFileSync(`dist/${file}`, "utf8"), foreign, file);
  }
});

test('import { createProxy } from "sluice" works on Bun, Deno and Node', async () => {
  const program = 'import { createProxy } from "sluice"; console.log(typeof createProxy);';
  for (const command of [
    ["node_modules/.bin/bun", "--eval", program],
    ["node_modules/.bin/deno", "eval", program],
    [ARTEFACTS.node[0] as string, "--input-type=module", "--eval", program],
  ]) {
    const ran = await runToEnd(command);
    assert.equal(ran.stdout.trim(), "function", `${command[0]}: ${ran.stderr}`);
  }
});

test("the library's types need its own dependencies alone, and no setting of ours", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "sluice-types-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const options = { strict: true, noEmit: true, module: "nodenext", target: "es2022", lib: ["es2022"], types: [], skipLibCheck: true };
  const config = { compilerOptions: { ...options, paths: { sluice: [resolve("dist/index.d.ts")] } }, files: ["use.ts"] };
  writeFileSync(join(directory, "tsconfig.json"), JSON.stringify(config));
  writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
  const use = [
    'import { createProxy } from "sluice";',
    "export const proxy = createProxy;",
    "// @ts-expect-error a number is no configuration: the types are there, not any",
    "createProxy(7);",
  ];
  writeFileSync(join(directory, "use.ts"), use.join("\n"));
  const ran = await runToEnd(["node_modules/.bin/tsc", "-p", directory], { timeoutMs: 60_000 });
  assert.equal(ran.code, 0, ran.stdout);

  const dependencies = Object.keys(JSON.parse(readFileSync("package.json", "utf8")).dependencies);
  for (const name of readdirSync("dist/types", { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".d.ts")) continue;
    const text = readFileSync(join("dist/types", name), "utf8");
    for (const { specifier } of readImports(text)) {
      assert.ok(specifier.startsWith(".") || dependencies.includes(specifier), `${name} needs ${specifier}`);
    }
    assert.doesNotMatch(text, /: (Buffer|NodeJS|Bun|Deno)\b/, `${name} needs the types of a runtime`);
  }
});
