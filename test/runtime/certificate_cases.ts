import { strict as assert } from "node:assert";
import { createHash, X509Certificate } from "node:crypto";
import type { NetworkError, ServerTlsOptions } from "../../src/runtime/types.ts";
import { type Case, certificate, type Lab, serverOptions } from "./lab.ts";
import { asking, device, devicesFile, only, VERSIONS, visit, withGate } from "./secure_lab.ts";

/** Deno has one answer for whatever is wrong, when it is the one who refuses. */
const vague = /^TLS handshake: the certificate was not accepted$/;

/** Certificates of clients that are refused wherever one is asked for. */
const REFUSED = [
  { name: "expired", why: /^TLS handshake: the certificate has expired/ },
  { name: "not_yet_valid", why: /^TLS handshake: the certificate is not valid yet/ },
  { name: "server_only", why: /^TLS handshake: the certificate is not made for this side of TLS/ },
  { name: "an unknown authority's", material: certificate("server"), why: /^TLS handshake: the certificate comes from an unknown authority$/ },
  { name: "self-signed", material: certificate("self_signed"), why: /^TLS handshake: .*\(self-signed\)$|unknown authority$/ },
] as const;

/** TLS only. */
export const certificateCases: readonly Case[] = [
  ...(["request", "require"] as const).flatMap((mode): Case[] => [
    {
      name: `certificates, ${mode}: a good one is let in and handed up as it is, also through an authority in between`,
      run: (lab) =>
        withGate(lab, asking(mode), async ({ port, settled }) => {
          let index = 0;
          for (const version of VERSIONS) {
            for (const name of ["good", "chained"]) {
              const { served } = await visit(port, { ...device(name), ...only(version) });
              const facts = await settled(index++);
              assert.ok("version" in facts, JSON.stringify(facts));
              assert.deepEqual([served, facts.version], [true, version]);
              assert.equal(fingerprint(facts.certificate), new X509Certificate(device(name).cert).fingerprint256);
            }
          }
        }),
    },
    ...REFUSED.map((refused): Case => ({
      name: `certificates, ${mode}: ${refused.name} is refused before a byte comes through, and the reason is said`,
      run: (lab) => isRefused(lab, asking(mode), "material" in refused ? refused.material : device(refused.name), refused.why),
    })),
    {
      name: `certificates, ${mode}: revoked is refused, and what its list does not cover (crl)`,
      async run(lab) {
        const crl = devicesFile("crl.pem");
        await isRefused(lab, asking(mode, { crl }), device("revoked"), /^TLS handshake: the certificate was revoked$/);
        // Of the authority in between there is no list.
        await isRefused(lab, asking(mode, { crl }), device("chained"), /no revocation list|unknown authority/);
        await isRefused(lab, asking(mode, { crl: devicesFile("crl_expired.pem") }), device("good"), /^TLS handshake: the revocation list .* has expired$/);
        await withGate(lab, asking(mode, { crl: devicesFile("crl_middle.pem") + crl }), async ({ port }) => {
          for (const name of ["good", "chained"]) assert.equal((await visit(port, device(name))).served, true, name);
          assert.equal((await visit(port, device("revoked"))).served, false);
        });
        await withGate(lab, asking(mode, { crl: devicesFile("crl_empty.pem") }), async ({ port }) => {
          assert.equal((await visit(port, device("revoked"))).served, true, "not revoked in this list");
        });
      },
    },
  ]),
  {
    name: "certificates, request: a client without one is served, and nothing is made up",
    run: (lab) =>
      withGate(lab, asking("request"), async ({ port, facts }) => {
        for (const version of VERSIONS) assert.equal((await visit(port, only(version))).served, true);
        assert.deepEqual(facts.map((it) => it.certificate), [undefined, undefined]);
      }),
  },
  {
    name: "certificates, require: a client without one is refused before a byte comes through",
    run: (lab) => isRefused(lab, asking("require"), {}, /^TLS handshake: the client gave no certificate$/),
  },
  {
    name: "certificates, none: one that comes all the same is not asked for, and not handed up",
    run: (lab) =>
      withGate(lab, {}, async ({ port, facts }) => {
        for (const version of VERSIONS) assert.equal((await visit(port, { ...device("good"), ...only(version) })).served, true);
        assert.deepEqual(facts.map((it) => it.certificate), [undefined, undefined]);
      }),
  },
  {
    name: "material: what cannot be used is refused when it is loaded, and named",
    async run(lab) {
      const { cert, key } = certificate("server");
      const ca = devicesFile("ca.pem");
      const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
      const cases: readonly (readonly [Partial<ServerTlsOptions>, RegExp])[] = [
        [{ key: certificate("other").key }, /^load the certificate and its key: the key does not belong to the certificate$/],
        [{ cert: "nonsense" }, /^load the certificate: there is no PEM certificate in it$/],
        [{ key: "nonsense" }, /^load the certificate and its key: there is no PEM key in it$/],
        [{ key: cert }, /^load the certificate and its key: there is no PEM key in it$/],
        [{ cert: broken + cert }, /^load the certificate and its key: /],
        [{ cert: cert + broken }, /^load the certificate and its key: /],
        [{ clientCertificates: "require" }, /^load the client authorities: none are given$/],
        [{ clientCertificates: "request", ca: "" }, /^load the client authorities: there is no whole PEM certificate in them$/],
        [{ clientCertificates: "require", ca: key }, /^load the client authorities: there is no whole PEM certificate in them$/],
        [{ clientCertificates: "require", ca: ca.slice(0, -30) }, /^load the client authorities: there is no whole PEM certificate in them$/],
        [{ clientCertificates: "require", ca: ca + ca.slice(0, -30) }, /^load the client authorities: there is no whole PEM certificate in them$/],
        [{ clientCertificates: "require", ca: ca + broken }, /^load the client authorities: /],
        [{ clientCertificates: "require", ca, crl: "" }, /^load the revocation lists: there is no whole PEM list in them$/],
        [{ clientCertificates: "require", ca, crl: ca }, /^load the revocation lists: there is no whole PEM list in them$/],
        [{ clientCertificates: "require", ca, crl: devicesFile("crl.pem").replace(/\n[^\n]{20}/, "\n") }, /^load the revocation lists: /],
        [{ alpn: ["mqtt", ""] }, /^load ALPN: /],
        [{ alpn: ["x".repeat(256)] }, /^load ALPN: /],
      ];
      for (const [more, message] of cases) {
        const context = await lab.runtime.createTlsContext(serverOptions({ cert, key, ...more }));
        assert.ok("code" in context, `taken: ${JSON.stringify(more).slice(0, 200)}`);
        assert.equal(context.code, "tls");
        assert.match(context.message, message);
        assert.ok(!context.message.includes("PRIVATE"), "the key shows in the message");
      }
    },
  },
  {
    name: "material: text around the blocks, Windows line ends and several authorities are taken",
    async run(lab) {
      const ca = `# the authorities\n${devicesFile("ca.pem").replaceAll("\n", "\r\n")}\n# another\n${certificate("self_signed").cert}`;
      const { cert, key } = certificate("server");
      await withGate(lab, { ...asking("require", { ca }), cert: cert.replaceAll("\n", "\r\n"), key: `\n${key}` }, async ({ port }) => {
        assert.equal((await visit(port, device("good"))).served, true);
        assert.equal((await visit(port, certificate("server"))).served, false);
      });
    },
  },
  {
    name: "material: a runtime that does not honour revocation lists refuses them (no crl)",
    async run(lab) {
      const context = await lab.runtime.createTlsContext(serverOptions(asking("require", { crl: devicesFile("crl.pem") })));
      assert.equal("code" in context, !lab.runtime.capabilities.crl);
    },
  },
];

async function isRefused(lab: Lab, server: Partial<ServerTlsOptions>, credentials: object, why: RegExp): Promise<void> {
  await withGate(lab, server, async ({ port, door, settled }) => {
    for (const [index, version] of VERSIONS.entries()) {
      const { served } = await visit(port, { ...credentials, ...only(version) });
      const error = (await settled(index)) as NetworkError;
      assert.equal(served, false);
      assert.equal(error.code, "tls", error.message);
      if (lab.runtime.name !== "deno" || !vague.test(error.message)) assert.match(error.message, why);
    }
    assert.equal(door.ends.length, 0, "let in");
  });
}

function fingerprint(der: Uint8Array | undefined): string | undefined {
  return der && createHash("sha256").update(der).digest("hex").toUpperCase().replaceAll(/..(?!$)/g, "$&:");
}
