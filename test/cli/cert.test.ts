import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { shellWord } from "../../src/cli/cert/shell_word.ts";
import { fileNameOf } from "../../src/cli/cert/write_pair.ts";
import { machine } from "../../src/runtime/machine.ts";
import { TAG } from "../../src/transport/certificates/der.ts";
import { certificateProblems } from "../../src/transport/certificates/pair.ts";
import { readPem, writePem } from "../../src/transport/certificates/pem.ts";
import { isIssuedBy, readCertificate, type Certificate } from "../../src/transport/certificates/read.ts";
import { needs } from "../support/needs.ts";
import { runToEnd, type TestScope } from "../support/process.ts";
import * as written from "../transport/certificates/write_der.ts";
import { play } from "./fake_runtime.ts";

const DAY_MS = 86_400_000;

/** A place of its own for one test: a state directory, and one to write into. */
function desk(t: TestScope) {
  const folder = mkdtempSync(join(tmpdir(), "sluice-cert-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const at = (name: string): string => join(folder, name);
  const out = at("out");
  return {
    at,
    state: at("state"),
    read: (name: string): string => readFileSync(join(out, name), "utf8"),
    certificate(name: string): Certificate {
      const certificate = readCertificate(readFileSync(join(out, name), "utf8"));
      assert.ok(certificate);
      return certificate;
    },
    files: (): string[] => readdirSync(out).sort(),
    /** `sluice cert ...` with --out where files are made. */
    async cert(...words: string[]) {
      const makes = words[0] !== "inspect" && !words.includes("--out");
      const { code, out: data, error } = await play(["cert", ...words, ...(makes ? ["--out", out] : [])], { machine, variables: { STATE_DIRECTORY: at("state") } });
      return { code, out: data.join("\n"), error: error.join("\n") };
    },
  };
}

describe("sluice cert", () => {
  test("names what it can do when it is told nothing, or something near", async (t) => {
    const { cert } = desk(t);
    for (const [words, says] of [
      [[], /^error: command line: nothing to do: expected ca, server, client or inspect after "sluice cert"\n.*--help/],
      [["clent", "x"], /unknown command "cert clent": expected .*\n.*did you mean "sluice cert client"\?/],
      [["constructor"], /unknown command "cert constructor"/],
      [["inspect", "--force", "x"], /^error: --force: not an option of "sluice cert inspect"\n.*"sluice cert ca" and/],
      [["ca", "--ca", "x"], /^error: --ca: not an option of "sluice cert ca"/],
      [["ca", "extra"], /cannot use "extra": expected "sluice cert ca \[options\]"/],
      [["server"], /"sluice cert server" needs more: expected "sluice cert server \[options\] <name\|address> \.\.\."/],
      [["client"], /"sluice cert client" needs more/],
      [["client", "x", "--listen", ":1"], /^error: --listen: not an option of "sluice cert"/],
    ] as const) {
      const { code, out, error } = await cert(...words);
      assert.match(error, says);
      assert.deepEqual([code, out], [64, ""], error);
    }
  });

  test("help tells of each", async () => {
    for (const words of [["cert", "--help"], ["help", "cert"], ["cert", "server", "-h"]]) {
      const { code, out } = await play(words);
      assert.equal(code, 0);
      assert.match(out.join("\n"), /usage: sluice cert <ca\|server\|client\|inspect>[^]*\n  inspect +whose certificates[^]*--ca <file> +server, client: sign with this CA/);
    }
    assert.match((await play(["--help"])).out.join("\n"), /--ca <file> +trust this CA for brokers/);
  });
});

describe("sluice cert ca", () => {
  test("makes an authority, tells its files on stdout and the rest on stderr", async (t) => {
    const { cert, at, certificate, files } = desk(t);
    const { code, out, error } = await cert("ca", "--name", "Acme, Hall 3", "--days", "100");
    assert.equal(code, 0, error);
    assert.equal(out, `${join(at("out"), "ca.pem")}\n${join(at("out"), "ca.key")}`);
    assert.match(error, /^made .*ca\.pem and .*ca\.key for CN=Acme\\, Hall 3, good until 20\d\d-.* UTC\nnext: sluice cert server gateway\.local --ca \/.*ca\.pem$/);
    const { commonName, isAuthority, notAfter } = certificate("ca.pem");
    assert.deepEqual([commonName, isAuthority], ["Acme, Hall 3", true]);
    assert.ok(Math.abs(notAfter - Date.now() - 100 * DAY_MS) < 60_000);
    assert.deepEqual(files(), ["ca.key", "ca.pem"]);
    if (machine.userId !== undefined) {
      assert.equal(statSync(join(at("out"), "ca.key")).mode & 0o777, 0o600);
      assert.equal(statSync(at("out")).mode & 0o777, 0o700);
    }
  });

  test("is called after this host and good for ten years unless it is told otherwise", async (t) => {
    const { cert, certificate } = desk(t);
    await cert("ca");
    const { commonName, notAfter } = certificate("ca.pem");
    assert.match(commonName ?? "", /^sluice CA on /);
    assert.ok(Math.abs(notAfter - Date.now() - 3650 * DAY_MS) < 60_000);
  });

  test("overwrites only with --force, and says what that means", async (t) => {
    const { cert, read } = desk(t);
    await cert("ca");
    const before = read("ca.pem");
    const { code, error } = await cert("ca");
    assert.equal(code, 64);
    assert.match(error, /^error: command line: cannot write ".*ca\.pem": it exists already\n.*--out, or overwrite it with --force$/);
    assert.equal(read("ca.pem"), before);
    const forced = await cert("ca", "--force");
    assert.equal(forced.code, 0);
    assert.match(forced.error, /^warning: what the authority in .*ca\.pem has signed is not trusted with the new one/);
    assert.notEqual(read("ca.pem"), before);
    assert.deepEqual(certificateProblems({ cert: read("ca.pem"), key: read("ca.key") }, Date.now()), []);
  });

  test("refuses names and days that are none", async (t) => {
    const { cert } = desk(t);
    for (const [words, says] of [
      [["--name", "x".repeat(65)], /^error: --name: .*expected at most 64 characters/],
      [["--name", " "], /^error: --name: .*expected some text/],
      [["--name", "a\nb"], /^error: --name: .*expected no control characters/],
      [["--name", "a\u202eb"], /^error: --name: .*expected no control characters/],
      [["--days", "0"], /^error: --days: cannot use "0" as a number of days: expected a whole number from 1 to 36500$/],
      [["--days", "1.5"], /^error: --days: /],
      [["--days", "36501"], /^error: --days: /],
      [["--days", "1e3"], /^error: --days: /],
    ] as const) {
      const { code, error } = await cert("ca", ...words);
      assert.match(error, says);
      assert.equal(code, 64);
    }
  });

  test("a directory that cannot be made, and a disk that is full, are exit 71", async (t) => {
    const { at, cert } = desk(t);
    writeFileSync(at("file"), "");
    const { code, error } = await cert("ca", "--out", join(at("file"), "below"));
    assert.equal(code, 71, error);
    assert.match(error, /^error: --out: cannot make the directory/);
    const full = await play(["cert", "ca", "--out", at("out")], { machine: { ...machine, writeFile: async () => ({ code: "other", message: "no space left" }) } });
    assert.equal(full.code, 71);
    assert.match(full.error.join("\n"), /^error: command line: cannot write ".*ca\.key": no space left$/);
    assert.deepEqual(full.out, []);
  });
});

describe("sluice cert server", () => {
  test("makes a certificate for names and addresses, signed by --ca, and says how to use it", async (t) => {
    const { at, cert, certificate, read } = desk(t);
    await cert("ca");
    for (const ca of ["ca", "ca.pem"]) {
      const { code, error, out } = await cert("server", "Gateway.local", "10.0.0.5", "::1", "*.example.com", "--force", "--ca", join(at("out"), ca));
      assert.equal(code, 0, error);
      assert.deepEqual(out.split("\n").map((line) => line.replace(at("out"), "")), ["/gateway.local.pem", "/gateway.local.key"]);
      assert.match(error, /signed by CN=sluice CA on .*\nserve: sluice --listen mqtts:\/\/:8883 --cert .*gateway\.local\.pem --key .*gateway\.local\.key mqtt:.*\ntry: mosquitto_pub -h gateway\.local -p 8883 --cafile .*ca\.pem -t try\/sluice -m hello$/);
    }
    const server = certificate("gateway.local.pem");
    assert.ok(isIssuedBy(server, certificate("ca.pem")));
    assert.deepEqual([server.names.dns, server.names.ip], [["gateway.local", "*.example.com"], ["10.0.0.5", "::1"]]);
    assert.deepEqual(certificateProblems({ cert: read("gateway.local.pem") + read("ca.pem"), key: read("gateway.local.key") }, Date.now()), []);
  });

  test("refuses what is no server's name, and more days than clients take", async (t) => {
    const { cert } = desk(t);
    for (const word of ["a b", "mqtts://a", "a@b.example", "10.0.0.256", ""]) {
      const { code, error } = await cert("server", "good", word);
      assert.equal(code, 64, word);
      assert.match(error, /as a server's name: expected a DNS name or an IP address, such as gateway\.local or 10\.0\.0\.5$/);
    }
    assert.match((await cert("server", "a", "--days", "398")).error, /expected a whole number from 1 to 397$/);
  });
});

describe("sluice cert client", () => {
  test("without --ca this host's own authority signs, which is made when there is none", async (t) => {
    const { at, cert, certificate, state } = desk(t);
    const first = await cert("client", "sensor-1", "sensor-1.local", "a@b.example", "urn:dev:1", "10.0.0.7");
    assert.equal(first.code, 0, first.error);
    assert.match(first.error, new RegExp(`^made an authority for this host, which "--tls auto" uses too: ${state}/ca\\.pem\nmade `));
    assert.match(first.error, /serve: sluice --listen mqtts:\/\/:8883 --tls auto --client-ca .*state\/ca\.pem mqtt:.*\ntry: mosquitto_pub -h localhost -p 8883 --cafile .*state\/ca\.pem --cert .*sensor-1\.pem --key .*sensor-1\.key -t try\/sluice -m hello$/);
    const authority = readFileSync(join(state, "ca.pem"), "utf8");
    const second = await cert("client", "sensor-2");
    assert.match(second.error, /^made .*sensor-2\.pem/);
    assert.equal(readFileSync(join(state, "ca.pem"), "utf8"), authority);
    const ca = readCertificate(authority);
    assert.ok(ca);
    for (const name of ["sensor-1", "sensor-2"]) {
      assert.ok(isIssuedBy(certificate(`${name}.pem`), ca));
      assert.equal(certificate(`${name}.pem`).commonName, name);
    }
    assert.deepEqual(certificate("sensor-1.pem").names, { dns: ["sensor-1.local"], email: ["a@b.example"], uri: ["urn:dev:1"], ip: ["10.0.0.7"] });
    assert.deepEqual(readdirSync(at("state")).sort(), ["ca.key", "ca.pem"]);
  });

  test("an existing file is found before an authority is made", async (t) => {
    const { at, cert, state } = desk(t);
    await cert("ca");
    assert.equal((await cert("client", "ca")).code, 64);
    assert.throws(() => statSync(state));
    assert.equal((await cert("client", "ca", "--force", "--ca", join(at("out"), "ca"))).code, 64, "the authority that signs is never overwritten");
    const { error } = await cert("client", "ca", "--force", "--ca", join(at("out"), "ca"));
    assert.match(error, /cannot write ".*ca\.pem": it is that of the authority\n.*--out$/);
  });

  test("any common name is taken as it is, and makes a harmless file name and a line that can be copied", async (t) => {
    const { at, cert } = desk(t);
    await cert("ca");
    const name = "../$(reboot) 'x' #+/";
    const { code, error, out } = await cert("client", name, "--ca", join(at("out"), "ca"), "--out", at("it's here"));
    assert.equal(code, 0, error);
    const [file = ""] = out.split("\n");
    assert.equal(file, join(at("it's here"), `${fileNameOf(name)}.pem`));
    assert.equal(readCertificate(readFileSync(file, "utf8"))?.commonName, name);
    assert.match(error, /--cert '\/.*it'\\''s here\/.*\.pem' /);
  });

  test("an authority that cannot sign is refused with its file", async (t) => {
    const { at, cert } = desk(t);
    await cert("ca");
    const ca = join(at("out"), "ca");
    await cert("client", "leaf", "--ca", ca);
    const none = await cert("client", "x", "--ca", at("none.pem"));
    assert.equal(none.code, 66);
    assert.match(none.error, /^error: --ca: cannot read ".*none\.pem": no .*\n.*"sluice cert ca" makes them$/);
    const leaf = await cert("client", "x", "--ca", join(at("out"), "leaf"));
    assert.equal(leaf.code, 78);
    assert.match(leaf.error, /^error: --ca: cannot sign with ".*leaf\.pem": it is not that of an authority/);
    rmSync(`${ca}.key`);
    assert.match((await cert("client", "x", "--ca", ca)).error, /^error: --ca: cannot read ".*ca\.key": no /);
    writeFileSync(`${ca}.key`, "nonsense");
    assert.match((await cert("client", "x", "--ca", ca)).error, /cannot sign with ".*ca\.key": expected a private key as PEM text/);
  });

  test("an authority's key that others can read is warned of; a state directory without a home, or without its key, is said", async (t) => {
    const { cert, state } = desk(t);
    await cert("client", "a");
    if (machine.userId !== undefined) {
      chmodSync(join(state, "ca.key"), 0o644);
      assert.match((await cert("client", "b")).error, /^warning: the private key ".*ca\.key" can be read by others than its owner: chmod 600 /);
    }
    rmSync(join(state, "ca.key"));
    const { code, error } = await cert("client", "c");
    assert.equal(code, 71);
    assert.match(error, /the authority's key ".*ca\.key" is missing\n.*--ca/);
    const homeless = await play(["cert", "client", "c"], { machine: { ...machine, userId: 1000, homeDirectory: () => undefined } });
    assert.equal(homeless.code, 71);
    assert.match(homeless.error.join("\n"), /there is no home directory\n.*--ca, or set STATE_DIRECTORY/);
  });
});

describe("sluice cert inspect", () => {
  test("shows certificates on stdout, and of private keys that they are some", async (t) => {
    const { at, cert } = desk(t);
    await cert("ca", "--name", "Acme CA");
    await cert("server", "gateway.local", "10.0.0.5", "--ca", join(at("out"), "ca"));
    const { code, out, error } = await cert("inspect", join(at("out"), "gateway.local.pem"), join(at("out"), "ca.pem"), join(at("out"), "ca.key"));
    assert.equal(code, 0, error);
    assert.equal(error, "");
    assert.match(out, /^\/.*gateway\.local\.pem\n {2}subject {6}CN=gateway\.local\n {2}issuer {7}CN=Acme CA\n {2}names {8}DNS gateway\.local, IP 10\.0\.0\.5\n {2}key {10}EC P-256\n {2}valid {8}20.* UTC to 20.* UTC, 36[45] days left\n {2}fingerprint {2}SHA-256 [0-9a-f]{64}\n {2}authority {4}no\n/);
    assert.match(out, /\n {2}subject {6}CN=Acme CA\n {2}issuer {7}itself\n[^]*authority {4}yes: it may sign others\n/);
    assert.match(out, /ca\.key: a private key, EC P-256; it is not shown$/);
    assert.doesNotMatch(out + error, /PRIVATE|BEGIN/);
  });

  test("its fingerprint is OpenSSL's, from PEM and from DER", needs("openssl"), async (t) => {
    const { at, cert } = desk(t);
    const file = "test/fixtures/tls/server.pem";
    const ran = await runToEnd(["openssl", "x509", "-in", file, "-noout", "-fingerprint", "-sha256"]);
    const fingerprint = ran.stdout.trim().replace(/^.*=/, "").replaceAll(":", "").toLowerCase();
    writeFileSync(at("server.der"), readPem(readFileSync(file, "utf8"))[0]!.der!);
    for (const one of [file, at("server.der")]) assert.match((await cert("inspect", one)).out, new RegExp(`SHA-256 ${fingerprint}\n`));
  });

  test("chains: each certificate by its number, and a wrong order is warned of", async (t) => {
    const { at, cert, read } = desk(t);
    await cert("ca");
    await cert("server", "a", "--ca", join(at("out"), "ca"));
    writeFileSync(at("good.pem"), read("a.pem") + read("ca.pem"));
    writeFileSync(at("bad.pem"), read("a.pem") + read("a.pem") + read("ca.pem"));
    writeFileSync(at("list.pem"), read("ca.pem") + readFileSync("test/fixtures/tls/ca.pem", "utf8"));
    const good = await cert("inspect", at("good.pem"));
    assert.match(good.out, /good\.pem, certificate 1 of 2\n[^]*good\.pem, certificate 2 of 2\n/);
    assert.equal(good.error, "");
    assert.match((await cert("inspect", at("bad.pem"))).error, /^warning: .*bad\.pem: the certificate in place 2 is not that of the authority .* place 1: put the certificate first/);
    assert.equal((await cert("inspect", at("list.pem"))).error, "", "several authorities are a list");
  });

  test("dates: expired, and not yet valid", async (t) => {
    const { cert } = desk(t);
    assert.match((await cert("inspect", "test/fixtures/tls/expired.pem")).out, /, expired \d+ (?:hours|days) ago\n/);
    const { at, cert: later } = desk(t);
    await later("ca", "--days", "1");
    assert.match((await later("inspect", join(at("out"), "ca.pem"))).out, /, 23 hours left\n/);
    writeFileSync(at("future.pem"), writePem("CERTIFICATE", written.certificate({ notBefore: written.text(TAG.utcTime, "490101000000Z") })));
    assert.match((await later("inspect", at("future.pem"))).out, /, not before \d+ days from now\n/);
  });

  test("private keys of every form are named, never shown", async (t) => {
    const { at, cert } = desk(t);
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    const ec = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
    const files = {
      "pkcs8.pem": rsa.export({ type: "pkcs8", format: "pem" }),
      "pkcs1.pem": rsa.export({ type: "pkcs1", format: "pem" }),
      "sec1.pem": ec.export({ type: "sec1", format: "pem" }),
      "pkcs8.der": ec.export({ type: "pkcs8", format: "der" }),
      "encrypted.pem": ec.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" }),
      "broken.pem": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
      "list.pem": "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
    };
    for (const [name, contents] of Object.entries(files)) writeFileSync(at(name), contents, { mode: 0o600 });
    const { code, out, error } = await cert("inspect", ...Object.keys(files).map(at));
    assert.deepEqual(out.split("\n").map((line) => line.replace(/^.*\//, "")), [
      "pkcs8.pem: a private key, RSA 2048; it is not shown",
      "pkcs1.pem: a private key, RSA 2048; it is not shown",
      "sec1.pem: a private key, EC P-384; it is not shown",
      "pkcs8.der: a private key, EC P-384; it is not shown",
      "encrypted.pem: a private key, encrypted; it is not shown",
      "broken.pem: a private key, of an unknown kind; it is not shown",
      'list.pem: "X509 CRL" as PEM text; it is not shown',
    ]);
    assert.deepEqual([code, error], [0, ""]);
  });

  test("what a certificate says is shown without what a terminal would obey", async (t) => {
    const { at, cert } = desk(t);
    const subject = written.name(written.commonName("a\u202eb"), written.attribute(written.ORGANISATION, written.text(TAG.utf8String, "\u009b2Jx")));
    writeFileSync(at("odd.pem"), writePem("CERTIFICATE", written.certificate({ subject, extensions: [written.subjectAltName(written.dns("good"), written.dns("\u001b[2J"))] })));
    assert.match((await cert("inspect", at("odd.pem"))).out, /\n {2}subject {6}CN=ab, O=\(unreadable\)\n[^]*\n {2}names {8}DNS good\n/);
  });

  test("what cannot be read is exit 66 with the file; the others are shown all the same", async (t) => {
    const { at, cert } = desk(t);
    for (const [name, contents] of [["text", "hello"], ["empty", ""], ["broken.pem", "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n"], ["cut.der", Uint8Array.of(0x30, 0x82, 1)]] as const) {
      writeFileSync(at(name), contents);
    }
    const { code, out, error } = await cert("inspect", at("none"), at("text"), at("empty"), at("broken.pem"), at("cut.der"), "test/fixtures/tls/ca.pem");
    assert.equal(code, 66);
    assert.match(error, /none: cannot read it: .*\n.*text: expected a certificate, as PEM or DER\n.*empty: expected .*\n.*broken\.pem: a certificate in it cannot be read\n.*cut\.der: expected/);
    assert.match(out, /^test\/fixtures\/tls\/ca\.pem\n {2}subject/);
  });
});

test("fileNameOf makes a plain file name of anything", () => {
  const cases = [["sensor-1", "sensor-1"], ["*.example.com", "wildcard.example.com"], ["::1", "__1"], ["../../etc/passwd", "_._.._etc_passwd"], [".hidden", "_hidden"], ["-rf", "_rf"], ["a b\n", "a_b_"], ["ü", "_"], ["x".repeat(100), "x".repeat(64)]] as const;
  for (const [name, expected] of cases) assert.equal(fileNameOf(name), expected);
});

test("shellWord is one word of a shell, whatever is in it", needs("sh"), async () => {
  const words = ["plain/file.pem", "a b", "it's", "$HOME", "`id`", "a\nb", "", "*", "\\", '"', "ü", "~"];
  const ran = await runToEnd(["sh", "-c", `printf '%s\\0' ${words.map(shellWord).join(" ")}`]);
  assert.deepEqual(ran.stdout.split("\0").slice(0, -1), words);
});
