import { strict as assert } from "node:assert";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test, type TestContext } from "node:test";
import { runtime } from "#runtime";

const machine = await runtime.system.machine();

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "sluice-machine-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("writeFile writes the whole text with its mode, and leaves nothing else behind", async (t) => {
  const folder = folderFor(t);
  const file = join(folder, "key");
  assert.equal(await machine.writeFile(file, "secret\n", { mode: 0o600, replace: false }), undefined);
  assert.equal(readFileSync(file, "utf8"), "secret\n");
  if (process.platform !== "win32") assert.equal(await machine.fileMode(file), 0o600);
  assert.deepEqual(readdirSync(folder), ["key"]);
});

test("writeFile takes the place of a file only when it may", async (t) => {
  const folder = folderFor(t);
  const file = join(folder, "key");
  await machine.writeFile(file, "first", { mode: 0o600, replace: true });
  assert.deepEqual(await machine.writeFile(file, "second", { mode: 0o600, replace: false }), { code: "exists", message: "it exists already" });
  assert.equal(readFileSync(file, "utf8"), "first");
  assert.equal(await machine.writeFile(file, "third", { mode: 0o600, replace: true }), undefined);
  assert.equal(readFileSync(file, "utf8"), "third");
  assert.deepEqual(readdirSync(folder), ["key"]);
});

test("of many that write the same new file at once, one has it and the others are told", async (t) => {
  const folder = folderFor(t);
  const file = join(folder, "key");
  const texts = Array.from({ length: 16 }, (_, index) => `text ${index}`);
  const errors = await Promise.all(texts.map((text) => machine.writeFile(file, text, { mode: 0o600, replace: false })));
  assert.equal(errors.filter((error) => error === undefined).length, 1);
  assert.ok(errors.every((error) => error === undefined || error.code === "exists"));
  assert.equal(readFileSync(file, "utf8"), texts[errors.indexOf(undefined)]);
  assert.deepEqual(readdirSync(folder), ["key"]);
});

test("what cannot be written is said, and nothing is left behind", async (t) => {
  const folder = folderFor(t);
  assert.equal((await machine.writeFile(join(folder, "none", "key"), "", { mode: 0o600, replace: true }))?.code, "missing");
  assert.equal((await machine.writeFile(folder, "", { mode: 0o600, replace: false }))?.code, "exists");
  assert.deepEqual(readdirSync(folder), []);
  assert.deepEqual(await machine.fileMode(join(folder, "none")), { code: "missing", message: "no such file" });
});

test("makeDirectory makes those above it too, and is content with one that is there", async (t) => {
  const folder = folderFor(t);
  const below = join(folder, "a", "b");
  assert.equal(await machine.makeDirectory(below, 0o700), undefined);
  assert.equal(await machine.makeDirectory(below, 0o700), undefined);
  if (process.platform !== "win32") for (const one of [below, join(folder, "a")]) assert.equal(statSync(one).mode & 0o777, 0o700);
  await machine.writeFile(join(folder, "file"), "", { mode: 0o600, replace: true });
  assert.notEqual(await machine.makeDirectory(join(folder, "file"), 0o700), undefined);
});

test("the host's name, addresses without scope, and the user", () => {
  assert.equal(machine.hostName(), hostname());
  for (const address of machine.addresses()) assert.match(address, /^[\da-f.:]+$/i);
  assert.equal(machine.userId, process.getuid?.());
  assert.ok((machine.homeDirectory() ?? "/").length > 0);
});
