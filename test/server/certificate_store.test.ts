import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { runtime } from "#runtime";
import { readMaterial } from "../../src/config/material.ts";
import { resolveConfiguration } from "../../src/config/resolve.ts";
import type { ConfigInput } from "../../src/config/schema.ts";
import type { ListenerTlsConfig } from "../../src/config/types.ts";
import type { Log } from "../../src/observe/log.ts";
import { CertificateStore } from "../../src/server/certificate_store.ts";
import type { PemPair } from "../../src/transport/certificates/pair.ts";
import type { TestScope } from "../support/process.ts";
import { authority, server } from "../transport/certificates/made.ts";

const DAY_MS = 86_400_000;

/** A folder as a store sees it, and the lines that it has caused. */
class Shelf {
  readonly folder: string;
  readonly lines: string[] = [];
  store!: CertificateStore;

  constructor(scope: TestScope) {
    this.folder = mkdtempSync(join(tmpdir(), "sluice-"));
    scope.after(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  async open(tls: (path: (name: string) => string) => NonNullable<NonNullable<ConfigInput["listeners"]>[number]["tls"]>): Promise<this> {
    const { configuration, problems } = resolveConfiguration({ listeners: [{ name: "l", listen: "mqtts://:0", tls: tls((name) => this.path(name)) }], pools: { default: { brokers: ["mqtt://b"] } } });
    if (configuration === undefined) throw new Error(JSON.stringify(problems));
    const read = await readMaterial(configuration, runtime.system);
    if (read.problems !== undefined) throw new Error(JSON.stringify(read.problems));
    const log = (level: string) => (event: string, message: string) => void this.lines.push(`${level} ${event} ${message}`);
    const store = await CertificateStore.open(
      { runtime, log: { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error"), isOn: () => true } as unknown as Log, listener: "l", tls: configuration.listeners[0]?.tls as ListenerTlsConfig },
      read.material.listeners.get("l") ?? [],
    );
    if ("code" in store) throw new Error(store.message);
    this.store = store;
    return this;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Whole or not at all, as every careful program does it. */
  put(name: string, text: string): void {
    writeFileSync(this.path(`${name}.new`), text);
    renameSync(this.path(`${name}.new`), this.path(name));
  }

  putPair({ cert, key }: PemPair): void {
    this.put("cert.pem", cert);
    this.put("key.pem", key);
  }

  certOf(name?: string): string {
    return this.store.choose(name).options.cert;
  }

  /** The lines that this look has caused. */
  async look(): Promise<string[]> {
    this.lines.length = 0;
    await this.store.look();
    return [...this.lines];
  }
}

const PAIR = (path: (name: string) => string) => ({ cert: path("cert.pem"), key: path("key.pem") });

async function startShelf(scope: TestScope): Promise<{ shelf: Shelf; ca: PemPair; old: PemPair }> {
  const shelf = new Shelf(scope);
  const ca = await authority({ now: Date.now() - 30 * DAY_MS });
  const old = await server(ca, ["a.example"]);
  shelf.putPair(old);
  await shelf.open(PAIR);
  return { shelf, ca, old };
}

describe("CertificateStore.look (T10)", () => {
  test("files that were replaced by a rename are used by the next handshake, and said once", async (t) => {
    const { shelf, ca } = await startShelf(t);
    assert.deepEqual(await shelf.look(), []);
    const next = await server(ca, ["a.example"]);
    shelf.putPair(next);
    const lines = await shelf.look();
    assert.equal(shelf.certOf("a.example"), next.cert);
    assert.equal(lines.length, 1);
    assert.match(lines[0] as string, /^info certificate\.loaded new handshakes use .*cert\.pem, valid until /);
    assert.deepEqual(await shelf.look(), []);
  });

  test("a symbolic link that is turned to another folder, as Kubernetes does it", async (t) => {
    const shelf = new Shelf(t);
    const ca = await authority();
    const [first, second] = [await server(ca, ["a.example"]), await server(ca, ["a.example"])];
    for (const [name, { cert, key }] of [["1", first], ["2", second]] as const) {
      mkdirSync(shelf.path(name));
      writeFileSync(shelf.path(`${name}/cert.pem`), cert);
      writeFileSync(shelf.path(`${name}/key.pem`), key);
    }
    symlinkSync("1", shelf.path("data"));
    for (const name of ["cert.pem", "key.pem"]) symlinkSync(`data/${name}`, shelf.path(name));
    await shelf.open(PAIR);
    assert.equal(shelf.certOf(), first.cert);
    symlinkSync("2", shelf.path("data.new"));
    renameSync(shelf.path("data.new"), shelf.path("data"));
    assert.equal((await shelf.look()).length, 1);
    assert.equal(shelf.certOf(), second.cert);
  });

  test("a certificate whose key comes later: the old pair stays meanwhile, complained of once", async (t) => {
    const { shelf, ca, old } = await startShelf(t);
    const next = await server(ca, ["a.example"]);
    shelf.put("cert.pem", next.cert);
    const before = shelf.store.choose("a.example");
    const lines = await shelf.look();
    assert.equal(lines.length, 1);
    assert.match(lines[0] as string, /^error certificate\.refused the new certificate is not used, the old one stays: the key ".*key\.pem" does not fit/);
    assert.equal(shelf.store.choose("a.example"), before);
    assert.equal(shelf.certOf(), old.cert);
    assert.deepEqual(await shelf.look(), []);
    shelf.put("key.pem", next.key);
    assert.equal((await shelf.look()).length, 1);
    assert.equal(shelf.certOf(), next.cert);
  });

  test("L2: whatever is wrong with the new files, the old pair stays, one line says why, and the next good pair is taken", async (t) => {
    const { shelf, ca, old } = await startShelf(t);
    const expired = await server(ca, ["a.example"], { days: 1, now: Date.now() - 10 * DAY_MS });
    const future = await server(ca, ["a.example"], { days: 300, now: Date.now() + 10 * DAY_MS });
    const other = await server(ca, ["a.example"]);
    const spoil: Readonly<Record<string, () => void>> = {
      "an empty certificate": () => shelf.put("cert.pem", ""),
      "half a certificate": () => shelf.put("cert.pem", old.cert.slice(0, old.cert.length / 2)),
      "garbage": () => shelf.put("cert.pem", "\x1b[31m\r\nnot a certificate"),
      "not even text": () => writeFileSync(shelf.path("cert.pem"), Uint8Array.of(0xff, 0xfe, 0, 1)),
      "a key in place of the certificate": () => shelf.put("cert.pem", old.key),
      "no certificate": () => unlinkSync(shelf.path("cert.pem")),
      "a folder": () => {
        rmSync(shelf.path("cert.pem"), { force: true });
        mkdirSync(shelf.path("cert.pem"));
      },
      "an empty key": () => shelf.put("key.pem", ""),
      "another's key": () => shelf.put("key.pem", other.key),
      "no key": () => unlinkSync(shelf.path("key.pem")),
      "an expired pair": () => shelf.putPair(expired),
      "a pair from the future": () => shelf.putPair(future),
    };
    for (const [what, change] of Object.entries(spoil)) {
      rmSync(shelf.path("cert.pem"), { recursive: true, force: true });
      shelf.putPair(old);
      await shelf.look();
      const before = shelf.store.choose("a.example");
      change();
      const lines = await shelf.look();
      assert.equal(lines.length, 1, `${what}: ${lines.join(" | ")}`);
      assert.match(lines[0] as string, /^error certificate\.refused the new certificate is not used, the old one stays: /, what);
      assert.equal(shelf.store.choose("a.example"), before, what);
      assert.deepEqual(await shelf.look(), [], what);
    }
    rmSync(shelf.path("cert.pem"), { recursive: true, force: true });
    const next = await server(ca, ["a.example"]);
    shelf.putPair(next);
    await shelf.look();
    assert.equal(shelf.certOf(), next.cert);
  });

  test("T11, CVE-2018-12550: an authority or a revocation list that is emptied or gone opens no door", async (t) => {
    const shelf = new Shelf(t);
    const ca = await authority();
    shelf.putPair(await server(ca, ["a.example"]));
    const fixture = readFileSync("test/fixtures/tls/clients/ca.pem", "utf8");
    const crl = readFileSync("test/fixtures/tls/clients/crl.pem", "utf8");
    const hasCrl = runtime.capabilities.crl === true;
    shelf.put("ca.pem", fixture);
    shelf.put("crl.pem", crl);
    await shelf.open((path) => ({ ...PAIR(path), ca: path("ca.pem"), ...(hasCrl && { crl: path("crl.pem") }) }));
    for (const [name, text] of [["ca.pem", fixture], ...(hasCrl ? [["crl.pem", crl]] : [])] as [string, string][]) {
      for (const broken of ["", "garbage", text.slice(0, 200), undefined]) {
        const before = shelf.store.choose(undefined);
        if (broken === undefined) unlinkSync(shelf.path(name));
        else shelf.put(name, broken);
        const lines = await shelf.look();
        assert.equal(lines.length, 1, `${name}: ${lines.join(" | ")}`);
        assert.match(lines[0] as string, /certificate\.refused/);
        assert.equal(shelf.store.choose(undefined), before);
        assert.equal(before.options.clientCertificates, "require");
        assert.equal(before.options.ca, fixture);
      }
      shelf.put(name, text);
      await shelf.look();
    }
  });

  test("another authority is another context: what a client began under the old one is not resumed under the new", async (t) => {
    const shelf = new Shelf(t);
    const ca = await authority();
    shelf.putPair(await server(ca, ["a.example"]));
    shelf.put("ca.pem", ca.cert);
    await shelf.open((path) => ({ ...PAIR(path), ca: path("ca.pem") }));
    const before = shelf.store.choose(undefined);
    shelf.put("ca.pem", (await authority({ commonName: "Another" })).cert);
    const lines = await shelf.look();
    assert.equal(lines.length, 1);
    assert.match(lines[0] as string, /^info certificate\.loaded new handshakes use what changed beside .*cert\.pem: /);
    assert.notEqual(shelf.store.choose(undefined), before);
  });

  test("one pair that is broken does not keep another from being taken", async (t) => {
    const shelf = new Shelf(t);
    const ca = await authority();
    const first = await server(ca, ["a.example"]);
    shelf.putPair(first);
    const second = await server(ca, ["b.example"]);
    shelf.put("b.pem", second.cert);
    shelf.put("b.key", second.key);
    await shelf.open((path) => ({ ...PAIR(path), certificates: [{ cert: path("b.pem"), key: path("b.key") }] }));
    shelf.put("cert.pem", "broken");
    const next = await server(ca, ["b.example", "c.example"]);
    shelf.put("b.pem", next.cert);
    shelf.put("b.key", next.key);
    assert.equal((await shelf.look()).length, 2);
    assert.deepEqual([shelf.certOf("a.example"), shelf.certOf("b.example"), shelf.certOf("c.example")], [first.cert, next.cert, next.cert]);
  });

  test("files that were touched, and looks that overlap, say nothing", async (t) => {
    const { shelf, old } = await startShelf(t);
    utimesSync(shelf.path("cert.pem"), new Date(), new Date(Date.now() - DAY_MS));
    chmodSync(shelf.path("key.pem"), 0o600);
    shelf.lines.length = 0;
    await Promise.all(Array.from({ length: 10 }, () => shelf.store.look()));
    assert.deepEqual(shelf.lines, []);
    assert.equal(shelf.certOf(), old.cert);
  });
});

describe("CertificateStore.choose", () => {
  test("an exact name before a wildcard, whatever their order; the first for no name and for one that none is for", async (t) => {
    const shelf = new Shelf(t);
    const ca = await authority();
    const [main, wild, exact] = [await server(ca, ["main.example"]), await server(ca, ["*.example.com"]), await server(ca, ["a.example.com"])];
    shelf.putPair(main);
    for (const [name, { cert, key }] of [["wild", wild], ["exact", exact]] as const) {
      shelf.put(`${name}.pem`, cert);
      shelf.put(`${name}.key`, key);
    }
    await shelf.open((path) => ({ ...PAIR(path), certificates: ["wild", "exact"].map((name) => ({ cert: path(`${name}.pem`), key: path(`${name}.key`) })) }));
    const expected = [[undefined, main], ["nobody.example", main], ["a.example.com", exact], ["b.example.com", wild], ["x.b.example.com", main], ["example.com", main], ["com", main]] as const;
    for (const [name, { cert }] of expected) assert.equal(shelf.certOf(name), cert, name);
  });
});
