/**
 * Makes everything under dist/, on Bun:
 *
 *   bun build.ts                  the executable for this machine, the programs for Node and Deno, the library and its types
 *   bun build.ts --all            the executables for every system, under dist/release/ with SHA256SUMS
 *   bun build.ts --deno-compile   an executable made by Deno; needs its runtime binary `denort`
 *   --out <directory>             instead of dist
 */
import { createHash } from "node:crypto";
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import process from "node:process";

const ROOT = import.meta.dirname;
const VERSION: string = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).version;
const MAIN = join(ROOT, "src/main.ts");
const LIBRARY = join(ROOT, "src/index.ts");
const DENO_SHEBANG = "/usr/bin/env -S deno run -A";

/** The systems of a release. Bun fetches the runtime of a foreign one from the npm registry, once. */
const SYSTEMS = [
  { name: "linux-x64", target: "bun-linux-x64" },
  { name: "linux-x64-musl", target: "bun-linux-x64-musl" },
  { name: "linux-arm64", target: "bun-linux-arm64" },
  { name: "linux-arm64-musl", target: "bun-linux-arm64-musl" },
  { name: "macos-x64", target: "bun-darwin-x64" },
  { name: "macos-arm64", target: "bun-darwin-arm64" },
  { name: "windows-x64", target: "bun-windows-x64" },
  { name: "windows-arm64", target: "bun-windows-arm64" },
] as const satisfies readonly { name: string; target: Bun.Build.CompileTarget }[];

const common = {
  format: "esm",
  sourcemap: "none",
  define: { BUILD_VERSION: JSON.stringify(VERSION) },
  throw: false,
} as const satisfies Partial<Bun.BuildConfig>;

/**
 * Keeps the engine's best compiler from most of what runs a few times for a client. It would begin with each of these functions after some
 * 4,000 clients, in the middle of the storm that follows a start, and what it makes of them is no faster there than what the second best
 * made (`bench/README.md`). What takes and gives each packet is left to it, and it may put what they call inside of them; what is made
 * in a function can only be reached where it ends up in a constant.
 */
const secondBest: Bun.BunPlugin = {
  name: "second-best-compiler",
  setup(build) {
    let heldBack = 0;
    let spared = 0;
    build.onResolve({ filter: /^hold-back$/ }, ({ path }) => ({ path, namespace: "build" }));
    build.onLoad({ filter: /^hold-back$/, namespace: "build" }, () => ({
      loader: "js",
      contents: `const METHODS_OF_A_PACKET = ${METHODS_OF_A_PACKET};\n${holdBackNow}\n${holdBackSoon}\nexport const holdBack = holdBackSoon();`,
    }));
    build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const place = relative(ROOT, path).replaceAll("\\", "/");
      if (!PATHS_OF_A_CLIENT.test(place)) return undefined;
      if (PATHS_OF_A_PACKET.includes(place)) return void spared++;
      heldBack++;
      const source = withoutPrivateMethods(readFileSync(path, "utf8"));
      const names = Array.from(source.matchAll(/^(?:export )?(?:(?:async )?function\*?|class|const) (\w+)/gm), ([, name]) => name);
      return { loader: "ts", contents: `${source}\nimport { holdBack } from "hold-back";\nholdBack([${names}]);\n` };
    });
    build.onEnd(() => {
      if (heldBack === 0 || spared !== PATHS_OF_A_PACKET.length) throw new Error("of src some files that run for a client, or for a packet, are not found: have they other names?");
    });
  },
};

const PATHS_OF_A_CLIENT =
  /^src\/(?:lib|mqtt|policy|pool|server|session|transport\/(?:tls_hello|first_bytes)|runtime\/(?:address|bun_connection|bun_dial|bun_listener|bun_tls|handlers)\.ts)/;
/** Those of them that run for each packet. */
const PATHS_OF_A_PACKET = ["src/lib/byte_buffer.ts", "src/mqtt/frame_follower.ts", "src/session/outbox.ts", "src/session/tunnel.ts"];
const METHODS_OF_A_PACKET = /^(?:data|write)$/;

/** The same with ordinary methods in the place of private ones, which nobody outside of their class could hold back. */
function withoutPrivateMethods(source: string): string {
  const names = new Set(Array.from(source.matchAll(/^ {2}(?:async |get )*#(\w+)[(<]/gm), ([, name]) => name));
  // Only where they stand in code: what is missed here does not compile.
  return source.replace(/(?<=\.|^ {2}(?:async |get )*)#(\w+)/gm, (text, name) => (names.has(name) ? `_${name}` : text));
}

/** Runs in the executable. It would delay the start, and a moment later no function has been called often enough yet. */
function holdBackSoon(): (values: unknown[]) => void {
  let noFTL: NoFTL | undefined;
  const waiting: unknown[][] = [];
  const begin = async () => {
    ({ noFTL } = await import("bun:jsc"));
    for (const values of waiting.splice(0)) holdBackNow(values, noFTL);
  };
  setTimeout(begin, 100).unref();
  return (values) => (noFTL === undefined ? void waiting.push(values) : holdBackNow(values, noFTL));
}

type NoFTL = typeof import("bun:jsc").noFTL;

/** The same, with what a file has at its top level. */
function holdBackNow(values: unknown[], noFTL: NoFTL): void {
  const holdThoseOf = (owner: object | undefined) => {
    for (const [name, { value, get }] of Object.entries(Object.getOwnPropertyDescriptors(owner ?? {}))) {
      const each = typeof value === "function" && !METHODS_OF_A_PACKET.test(name) ? value : get;
      if (each !== undefined) noFTL(each);
    }
  };
  for (const value of values) {
    if (typeof value === "function") {
      noFTL(value as () => unknown);
      holdThoseOf(value.prototype);
    } else if (Object(value) === value && Object.getPrototypeOf(value) === Object.prototype) holdThoseOf(value as object);
  }
}

interface CompileOptions {
  readonly target?: Bun.Build.CompileTarget;
  /** A file with the order in which a start used its functions. */
  readonly profile?: string | undefined;
}

async function compile(outfile: string, { target, profile }: CompileOptions = {}): Promise<void> {
  const built = await Bun.build({
    ...common,
    entrypoints: [MAIN],
    target: "bun",
    plugins: [secondBest],
    minify: true,
    bytecode: true,
    // what is imported late is then also loaded late: in one chunk everything is read at the start
    splitting: true,
    compile: {
      outfile,
      ...(target === undefined ? {} : { target }),
      // otherwise a bunfig.toml or .env of the directory where it is started would run code in it or change it
      autoloadDotenv: false,
      autoloadBunfig: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
      // code that runs a few thousand times is not worth compiling: a quiet proxy keeps 5 MB, a busy one compiles a moment later
      jitPolicy: 128,
      bytecodeOrder: profile ?? false,
    },
  });
  if (!built.success) throw new Error(built.logs.map(String).join("\n"));
}

/**
 * Writes the file again as a download would arrive. Linux keeps what was written in large pieces in memory in large pieces, and a process
 * that touches one byte of such a piece has all of it: 4 to 6 MB for the executable, until it is read from the disk again.
 */
function writeInPieces(file: string): void {
  const content = readFileSync(file);
  const descriptor = openSync(`${file}.pieces`, "w", statSync(file).mode);
  for (let at = 0; at < content.length; at += PIECE_BYTES) writeSync(descriptor, content, at, Math.min(PIECE_BYTES, content.length - at));
  closeSync(descriptor);
  renameSync(`${file}.pieces`, file);
}

const PIECE_BYTES = 16_384;

/**
 * Starts a fresh executable, lets it listen, ends it, and answers with the file in which it noted the functions that it
 * used: laid out together they cost a start 1.3 MB less. Where it cannot run, the executable is only a little larger.
 */
async function recordProfile(executable: string, profile: string): Promise<string | undefined> {
  const words = ["--listen", "mqtt://127.0.0.1:0", "--to", "mqtt://127.0.0.1:1", "--log-format", "json"];
  const child = Bun.spawn([executable, ...words], {
    env: { ...process.env, BUN_BYTECODE_ORDER_OUT: profile },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const deadline = setTimeout(() => child.kill("SIGKILL"), 10_000);
  const lines = new TextDecoderStream();
  let said = "";
  for await (const text of child.stderr.pipeThrough(lines)) {
    said += text;
    if (said.includes("listener.start")) child.kill("SIGTERM");
  }
  await child.exited;
  clearTimeout(deadline);
  if (existsSync(profile)) return profile;
  console.error(`record a profile: the executable did not run, building without\n${said.trimEnd()}`);
  return undefined;
}

/** The executable for this machine, in two passes: the second knows what a start of the first one used. */
async function compileHere(outfile: string): Promise<void> {
  await withProfile(outfile, (profile) => compile(outfile, { profile }));
  writeInPieces(outfile);
}

async function withProfile(executable: string, use: (profile: string | undefined) => Promise<void>): Promise<void> {
  const profile = `${executable}.order`;
  try {
    await compile(executable);
    await use(await recordProfile(executable, profile));
  } finally {
    rmSync(profile, { force: true });
  }
}

type Platform = "bun" | "deno" | "node";

/** One JavaScript file with the adapter of one runtime, chosen by the condition in package.json's `imports`. */
async function bundle(entrypoint: string, platform: Platform, outfile: string, shebang?: string): Promise<void> {
  const built = await Bun.build({
    ...common,
    entrypoints: [entrypoint],
    target: platform === "bun" ? "bun" : "node",
    conditions: [platform],
    minify: { whitespace: true, syntax: true, identifiers: false }, // names stay readable in a reported stack
    ...(shebang === undefined ? {} : { banner: `#!${shebang}` }),
  });
  const [artefact] = built.outputs;
  if (!built.success || artefact === undefined) throw new Error(built.logs.map(String).join("\n"));
  writeFileSync(outfile, await artefact.text());
  if (shebang !== undefined) chmodSync(outfile, 0o755);
}

/**
 * The library's types: the declarations of src/index.ts and of those files that they mention, under dist/types/.
 */
async function declare(index: string, out: string): Promise<void> {
  const work = join(out, `.declarations-${process.pid}`);
  mkdirSync(work, { recursive: true });
  const config = {
    extends: relative(work, join(ROOT, "tsconfig.json")),
    // `out` may be anywhere; the types of Bun are looked for from here
    compilerOptions: { typeRoots: [join(ROOT, "node_modules")], noEmit: false, declaration: true, emitDeclarationOnly: true, rootDir: join(ROOT, "src"), outDir: "." },
    include: [],
    files: [LIBRARY],
  };
  writeFileSync(join(work, "tsconfig.json"), JSON.stringify(config));
  try {
    await run([join(ROOT, "node_modules/.bin/tsc"), "-p", work]);
    copyDeclarations(join(work, "index.d.ts"), work, join(out, "types"), new Set());
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  writeFileSync(index, 'export * from "./types/index.js";\n');
}

function copyDeclarations(file: string, from: string, to: string, seen: Set<string>): void {
  if (seen.has(file)) return;
  seen.add(file);
  const text = readFileSync(file, "utf8");
  for (const [, specifier = ""] of text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)) {
    copyDeclarations(resolve(dirname(file), specifier.replace(/(\.d)?\.ts$/, ".d.ts")), from, to, seen);
  }
  const copy = join(to, relative(from, file));
  mkdirSync(dirname(copy), { recursive: true });
  // a declaration is asked for under the name that its JavaScript would have
  writeFileSync(copy, text.replace(/(["'])(\.[^"']+?)(?:\.d)?\.ts\1/g, "$1$2.js$1"));
}

async function run(command: readonly string[]): Promise<void> {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "pipe", cwd: ROOT });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code !== 0) throw new Error(`${command[0]} ended with code ${code}\n${out}${err}`.trimEnd());
}

interface Artefact {
  readonly file: string;
  /** Writes it to this path. */
  readonly build: (file: string) => Promise<void>;
}

/**
 * Builds one after the other, says what was made, a line each, and answers with those files. Each comes into its place
 * whole and at once: a running program keeps its own, and nobody starts half of one.
 */
async function make(artefacts: readonly Artefact[]): Promise<string[]> {
  const made: string[] = [];
  for (const { file, build } of artefacts) {
    const shown = show(file);
    const fresh = join(dirname(file), `.new-${process.pid}-${basename(file)}`);
    try {
      await build(fresh);
      renameSync(fresh, file);
      made.push(file);
      console.log(`${shown.padEnd(44)} ${size(statSync(file).size).padStart(9)}`);
    } catch (error) {
      rmSync(fresh, { force: true });
      rmSync(file, { force: true }); // rather none than an old one
      console.error(`${shown}: not built: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return made;
}

function show(file: string): string {
  const path = relative(process.cwd(), file);
  return path.startsWith("..") ? file : path;
}

function size(bytes: number): string {
  if (bytes < 1e3) return `${bytes} B`;
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e3).toFixed(1)} kB`;
}

async function buildHere(out: string): Promise<boolean> {
  const at = (name: string): string => join(out, name);
  const artefacts: Artefact[] = [
    { file: at(process.platform === "win32" ? "sluice.exe" : "sluice"), build: compileHere },
    { file: at("sluice.node.js"), build: (file) => bundle(MAIN, "node", file, "/usr/bin/env node") },
    { file: at("sluice.deno.js"), build: (file) => bundle(MAIN, "deno", file, DENO_SHEBANG) },
    { file: at("index.bun.js"), build: (file) => bundle(LIBRARY, "bun", file) },
    { file: at("index.deno.js"), build: (file) => bundle(LIBRARY, "deno", file) },
    { file: at("index.node.js"), build: (file) => bundle(LIBRARY, "node", file) },
    { file: at("index.d.ts"), build: (file) => declare(file, out) },
  ];
  return (await make(artefacts)).length === artefacts.length;
}

/** A system whose runtime cannot be fetched is left out with a message: the others are still good. */
async function buildRelease(out: string): Promise<boolean> {
  const release = join(out, "release");
  rmSync(release, { recursive: true, force: true });
  mkdirSync(release, { recursive: true });
  const trial = join(out, `.trial-${process.pid}${process.platform === "win32" ? ".exe" : ""}`);
  let made: string[] = [];
  try {
    // one profile serves every system: it names functions, not places
    await withProfile(trial, async (profile) => {
      const artefacts = SYSTEMS.map(({ name, target }) => {
        const file = `sluice-${VERSION}-${name}${name.startsWith("windows") ? ".exe" : ""}`;
        return { file: join(release, file), build: (path: string) => compile(path, { target, profile }) };
      });
      made = await make(artefacts);
    });
  } finally {
    rmSync(trial, { force: true });
  }
  const sums = made.map((file) => {
    const digest = createHash("sha256").update(readFileSync(file)).digest("hex");
    return `${digest}  ${relative(release, file)}\n`;
  });
  writeFileSync(join(release, "SHA256SUMS"), sums.join(""));
  console.log(`${show(join(release, "SHA256SUMS"))}: ${made.length} of ${SYSTEMS.length} systems`);
  return made.length === SYSTEMS.length;
}

async function buildWithDeno(out: string): Promise<boolean> {
  const source = join(out, "sluice.deno.js");
  const artefacts: Artefact[] = [
    { file: source, build: (file) => bundle(MAIN, "deno", file, DENO_SHEBANG) },
    { file: join(out, "sluice-deno"), build: (file) => denoCompile(source, file) },
  ];
  return (await make(artefacts)).length === artefacts.length;
}

async function denoCompile(source: string, outfile: string): Promise<void> {
  const denort = process.env["DENORT_BIN"];
  if (denort !== undefined && !existsSync(denort)) throw new Error(`DENORT_BIN names "${denort}", which is not there`);
  const options = ["--quiet", "--no-check", "--no-config", "-A", "--output", outfile];
  try {
    await run([join(ROOT, "node_modules/.bin/deno"), "compile", ...options, source]);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `${reason}\ndeno compile needs denort, Deno's runtime binary, and downloads it. Where it cannot: get the denort of ` +
        "exactly this Deno's version and run DENORT_BIN=/path/to/denort npm run build -- --deno-compile",
    );
  }
}

function readArguments(words: readonly string[]): { what: "here" | "all" | "deno"; out: string } {
  let what: "here" | "all" | "deno" = "here";
  let out = join(ROOT, "dist");
  for (let i = 0; i < words.length; i++) {
    if (words[i] === "--all") what = "all";
    else if (words[i] === "--deno-compile") what = "deno";
    else if (words[i] === "--out" && words[i + 1] !== undefined) out = resolve(words[++i] as string);
    else {
      console.error(`read the argument "${words[i]}", expected --all, --deno-compile or --out <directory>`);
      process.exit(64);
    }
  }
  return { what, out };
}

const { what, out } = readArguments(process.argv.slice(2));
mkdirSync(out, { recursive: true });
const complete = await { here: buildHere, all: buildRelease, deno: buildWithDeno }[what](out);
process.exitCode = complete ? 0 : 1;
