import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { runtime } from "#runtime";
import type { AuthoritySystem } from "../../../src/transport/certificates/files.ts";
import { hostNames } from "../../../src/transport/certificates/host_names.ts";
import { ensureLocalAuthority, type LocalAuthority } from "../../../src/transport/certificates/local_authority.ts";
import { certificateProblems } from "../../../src/transport/certificates/pair.ts";
import { isIssuedBy, readCertificate } from "../../../src/transport/certificates/read.ts";
import { stateDirectory } from "../../../src/transport/certificates/state_directory.ts";
import type { Machine } from "../../../src/runtime/types.ts";
import { needs } from "../../support/needs.ts";
import * as made from "./made.ts";
import { folderFor, openssl } from "./openssl.ts";

const { system } = runtime;
const machine = await system.machine();
const DAY_MS = 86_400_000;
const NAMES = ["gateway", "gateway.local", "127.0.0.1", "::1"];
const hasModes = machine.userId !== undefined;

interface Circumstances {
  readonly names?: readonly string[];
  readonly atDay?: number;
  readonly machine?: Partial<Machine>;
  /** A file that this user may not read. */
  readonly denied?: string;
}

/** The authority, on this machine with a clock that is set. */
function ensure(directory: string, { names = NAMES, atDay = 0, machine: odd = {}, denied }: Circumstances = {}) {
  const here: AuthoritySystem = {
    readFile: async (path) => (path === join(directory, denied ?? "") ? { code: "denied", message: "permission denied" } : system.readFile(path)),
    wallClock: () => Date.now() + atDay * DAY_MS,
    machine: async () => ({ ...machine, ...odd }),
  };
  return ensureLocalAuthority(here, { directory, names });
}

async function good(directory: string, circumstances?: Circumstances): Promise<LocalAuthority> {
  const outcome = await ensure(directory, circumstances);
  assert.ok(!("reason" in outcome), JSON.stringify(outcome));
  return outcome;
}

const read = (file: string): string => readFileSync(file, "utf8");

function contents(directory: string): Record<string, string> {
  return Object.fromEntries(readdirSync(directory).sort().map((name) => [name, read(join(directory, name))]));
}

describe("ensureLocalAuthority", () => {
  test("makes an authority and a certificate for this host, which only their owner can read", async (t) => {
    const directory = folderFor(t)("state/sluice");
    const outcome = await good(directory);
    assert.deepEqual(outcome, {
      caFile: join(directory, "ca.pem"),
      certFile: join(directory, "server.pem"),
      keyFile: join(directory, "server.key"),
      created: true,
      issued: true,
      warnings: [],
    });
    assert.deepEqual(readdirSync(directory).sort(), ["ca.key", "ca.pem", "server.key", "server.pem"]);
    if (hasModes) {
      assert.equal(statSync(directory).mode & 0o777, 0o700);
      for (const name of ["ca.key", "server.key"]) assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
    }
    const [ca, server] = [readCertificate(read(outcome.caFile)), readCertificate(read(outcome.certFile))];
    assert.ok(ca && server && isIssuedBy(server, ca));
    assert.match(ca.commonName ?? "", /^sluice CA on /);
    assert.deepEqual([server.names.dns, server.names.ip], [["gateway", "gateway.local"], ["127.0.0.1", "::1"]]);
    assert.deepEqual(certificateProblems({ cert: read(outcome.certFile), key: read(outcome.keyFile) }, Date.now()), []);
  });

  test("OpenSSL takes what it made, strictly", needs("openssl"), async (t) => {
    const { caFile, certFile } = await good(folderFor(t)("s"));
    await openssl("verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "gateway.local", "-CAfile", caFile, certFile);
  });

  test("a second time it changes nothing, whatever the order and spelling of the names", async (t) => {
    const directory = folderFor(t)("s");
    await good(directory);
    const before = contents(directory);
    const outcome = await good(directory, { names: ["GATEWAY.local.", "gateway", "0:0:0:0:0:0:0:1", "127.0.0.1"] });
    assert.deepEqual([outcome.created, outcome.issued], [false, false]);
    assert.deepEqual(contents(directory), before);
  });

  test("another name, and 30 days before the end: the certificate is made anew, for the same key and by the same authority", async (t) => {
    const directory = folderFor(t)("s");
    await good(directory);
    let before = contents(directory);
    const steps = [[{ names: [...NAMES, "10.0.0.5"] }, true], [{ names: NAMES }, true], [{ atDay: 334 }, false], [{ atDay: 336 }, true], [{ atDay: 800 }, true]] as const;
    for (const [circumstances, isNew] of steps) {
      const outcome = await good(directory, circumstances);
      assert.deepEqual([outcome.created, outcome.issued], [false, isNew], JSON.stringify(circumstances));
      const after = contents(directory);
      assert.deepEqual({ ...after, "server.pem": "" }, { ...before, "server.pem": "" });
      assert.equal(after["server.pem"] !== before["server.pem"], isNew);
      before = after;
    }
  });

  test("what is missing or damaged of the host's own is made anew; an authority's certificate too, for the key that is there", async (t) => {
    const directory = folderFor(t)("s");
    await good(directory);
    const at = (name: string): string => join(directory, name);
    for (const [name, damage] of [["server.pem", undefined], ["server.key", undefined], ["server.pem", "nonsense"], ["server.key", "nonsense"], ["server.pem", read(at("ca.pem"))]] as const) {
      if (damage === undefined) rmSync(at(name));
      else writeFileSync(at(name), damage);
      assert.equal((await good(directory)).issued, true, `${name} ${damage?.slice(0, 20)}`);
      assert.deepEqual(certificateProblems({ cert: read(at("server.pem")), key: read(at("server.key")) }, Date.now()), []);
    }
    const server = read(at("server.pem"));
    rmSync(at("ca.pem"));
    const outcome = await good(directory);
    assert.deepEqual([outcome.created, outcome.issued], [true, false], "what the key signed is still good");
    assert.equal(read(at("server.pem")), server);
  });

  test("a certificate of another authority with the same name is made anew", async (t) => {
    const at = folderFor(t);
    await good(at("a"));
    await good(at("b"));
    for (const name of ["server.pem", "server.key"]) writeFileSync(join(at("b"), name), read(join(at("a"), name)));
    assert.equal((await good(at("b"))).issued, true);
  });

  test("many at once agree on one authority", async (t) => {
    const directory = folderFor(t)("s");
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => good(directory)));
    assert.equal(outcomes.filter(({ created }) => created).length, 1);
    assert.deepEqual(readdirSync(directory).sort(), ["ca.key", "ca.pem", "server.key", "server.pem"]);
    const at = (name: string): string => read(join(directory, name));
    assert.deepEqual(certificateProblems({ cert: at("ca.pem"), key: at("ca.key") }, Date.now()), []);
    assert.equal((await good(directory)).issued, false);
  });

  test("without the authority's key an old certificate serves on, and a new one cannot be had", async (t) => {
    const directory = folderFor(t)("s");
    await good(directory);
    rmSync(join(directory, "ca.key"));
    assert.deepEqual((await good(directory)).warnings, []);
    const old = await good(directory, { atDay: 340 });
    assert.equal(old.issued, false);
    assert.match(old.warnings[0] ?? "", /cannot be renewed: the authority's key ".*ca\.key" is missing$/);
    const outcome = await ensure(directory, { atDay: 366 });
    assert.ok("reason" in outcome);
    assert.match(`${outcome.reason}; ${outcome.suggestion}`, /ca\.key" is missing; put it back; or remove ".*ca\.pem"/);
    assert.deepEqual(readdirSync(directory).sort(), ["ca.pem", "server.key", "server.pem"], "and no new authority");
  });

  test("an authority that ends is warned of, and one that has ended is refused, not replaced", async (t) => {
    const directory = folderFor(t)("s");
    await good(directory);
    const late = await good(directory, { atDay: 3_500 });
    assert.match(late.warnings[0] ?? "", /the authority ".*ca\.pem" ends on 20\d\d-/);
    const last = await good(directory, { atDay: 3_640 });
    assert.equal(last.issued, false, "a certificate that ends with its authority cannot be had for longer");
    const before = contents(directory);
    const outcome = await ensure(directory, { atDay: 3_651 });
    assert.ok("reason" in outcome);
    assert.match(`${outcome.reason}; ${outcome.suggestion}`, /cannot sign with ".*ca\.pem": it expired on .*; remove ca\.pem and ca\.key/);
    assert.deepEqual(contents(directory), before);
  });

  test("what somebody put in the authority's place is refused, and stays", async (t) => {
    const stranger = await made.authority();
    const leaf = await made.client(stranger, "x");
    const cases: readonly (readonly [cert: string, key: string, words: RegExp])[] = [
      ["nonsense", stranger.key, /cannot sign with ".*ca\.pem": expected a certificate as PEM text/],
      [stranger.cert, "nonsense", /cannot sign with ".*ca\.key": expected a private key as PEM text/],
      [stranger.cert, leaf.key, /cannot sign with ".*ca\.key": it does not fit the certificate/],
      [leaf.cert, leaf.key, /cannot sign with ".*ca\.pem": it is not that of an authority/],
    ];
    for (const [cert, key, words] of cases) {
      const at = folderFor(t, { "ca.pem": cert, "ca.key": key });
      const outcome = await ensure(at("."));
      assert.ok("reason" in outcome);
      assert.match(outcome.reason, words);
      assert.deepEqual(contents(at(".")), { "ca.key": key, "ca.pem": cert });
    }
    const at = folderFor(t, { "ca.key": "nonsense" });
    const outcome = await ensure(at("."));
    assert.ok("reason" in outcome && /cannot use ".*ca\.key" as an authority's key/.test(outcome.reason));
  });

  test("an authority of one's own is used when it lies there", async (t) => {
    const own = await made.authority({ commonName: "Our own CA" });
    const at = folderFor(t, { "ca.pem": own.cert, "ca.key": own.key });
    const { created, certFile } = await good(at("."));
    assert.equal(created, false);
    assert.equal(readCertificate(read(certFile))?.issuer, "CN=Our own CA");
  });

  test("keys that others can read are warned of", { ...(!hasModes && { skip: "files have no mode here" }) }, async (t) => {
    const directory = folderFor(t)("s");
    await good(directory);
    chmodSync(join(directory, "ca.key"), 0o640);
    chmodSync(join(directory, "server.key"), 0o604);
    const { warnings } = await good(directory);
    assert.equal(warnings.length, 2);
    assert.match(warnings[0] ?? "", /the private key ".*ca\.key" can be read by others than its owner: chmod 600 /);
    assert.match(warnings[1] ?? "", /server\.key/);
    assert.deepEqual((await good(directory, { machine: { userId: undefined } })).warnings, []);
  });

  test("a directory that cannot be made or written is said", async (t) => {
    const at = folderFor(t, { file: "" });
    const outcome = await ensure(join(at("file"), "s"));
    assert.ok("reason" in outcome);
    assert.match(`${outcome.reason}; ${outcome.suggestion}`, /^cannot make the directory ".*": .*; set STATE_DIRECTORY/);
    const full = await ensure(at("s"), { machine: { writeFile: async () => ({ code: "other", message: "no space left" }) } });
    assert.deepEqual(full, { reason: `cannot write "${join(at("s"), "ca.key")}": no space left`, suggestion: undefined });
  });

  test("a file that may not be read is said, and nothing is made in its place", async (t) => {
    const directory = folderFor(t)("s");
    await good(directory);
    const before = contents(directory);
    for (const name of ["ca.key", "server.key"]) {
      const outcome = await ensure(directory, { names: ["other"], denied: name });
      assert.ok("reason" in outcome);
      assert.equal(outcome.reason, `cannot read "${join(directory, name)}": permission denied`);
      assert.deepEqual(contents(directory), before);
    }
  });

  test("a directory where a file should be is said", async (t) => {
    const directory = folderFor(t)("s");
    mkdirSync(join(directory, "server.key"), { recursive: true });
    const outcome = await ensure(directory);
    assert.ok("reason" in outcome && /cannot read ".*server\.key": /.test(outcome.reason), JSON.stringify(outcome));
  });

  test("a disk that is full when it is time to renew keeps nobody from starting", async (t) => {
    const directory = folderFor(t)("s");
    await good(directory);
    const before = contents(directory);
    const outcome = await good(directory, { atDay: 340, machine: { writeFile: async () => ({ code: "other", message: "no space left" }) } });
    assert.match(outcome.warnings[0] ?? "", /cannot be renewed: cannot write ".*server\.pem": no space left/);
    assert.deepEqual(contents(directory), before);
  });

  test("a name that is none is refused before anything is made", async (t) => {
    const directory = folderFor(t)("s");
    const outcome = await ensure(directory, { names: ["a b"] });
    assert.ok("reason" in outcome && /"a b": expected a DNS name or an IP address/.test(outcome.reason));
    assert.throws(() => readdirSync(directory));
  });
});

describe("stateDirectory", () => {
  const directoryOf = (variables: Record<string, string>, odd: Partial<Machine>): Promise<string | undefined> =>
    stateDirectory({ env: (name) => variables[name], machine: async () => ({ ...machine, userId: 1000, homeDirectory: () => "/home/a", ...odd }) });

  test("systemd's, the user's, root's, in this order", { ...(process.platform === "win32" && { skip: "its paths are others" }) }, async () => {
    const xdg = { XDG_STATE_HOME: "/x" };
    assert.equal(await directoryOf({ STATE_DIRECTORY: "/var/lib/private/s:/other", ...xdg }, {}), "/var/lib/private/s");
    assert.equal(await directoryOf(xdg, { userId: 0 }), "/x/sluice");
    assert.equal(await directoryOf({ STATE_DIRECTORY: "", XDG_STATE_HOME: "relative" }, {}), "/home/a/.local/state/sluice");
    assert.equal(await directoryOf({}, { userId: 0 }), "/var/lib/sluice");
    assert.equal(await directoryOf({}, { homeDirectory: () => undefined }), undefined);
  });
});

describe("hostNames", () => {
  const namesOf = (hostName: string, addresses: readonly string[] = []): string[] => hostNames({ ...machine, hostName: () => hostName, addresses: () => addresses });

  test("the host's name first, that for mDNS, loopback, then the addresses that others can use", () => {
    assert.deepEqual(namesOf("Gateway", ["127.0.0.1", "::1", "10.0.0.5", "fe80::1", "169.254.1.2", "2001:DB8::1", "febf::1", "fec0::1"]), [
      "gateway", "gateway.local", "localhost", "127.0.0.1", "::1", "10.0.0.5", "2001:db8::1", "fec0::1",
    ]);
    assert.deepEqual(namesOf("a.example.com"), ["a.example.com", "localhost", "127.0.0.1", "::1"]);
    assert.deepEqual(namesOf("not a name"), ["localhost", "127.0.0.1", "::1"]);
  });

  test("of this machine: a certificate can be made for all of them", async (t) => {
    assert.equal((await good(folderFor(t)("s"), { names: hostNames(machine) })).issued, true);
  });
});
