import { strict as assert } from "node:assert";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Case, certificate } from "./lab.ts";
import { OpensslClient } from "./openssl.ts";
import { asking, contextOf, devicesFile, type Gate, VERSIONS, withGate } from "./secure_lab.ts";

/** TLS only. The client is OpenSSL's own, because not every runtime can resume a session as a client. */
export const sessionCases: readonly Case[] = [
  {
    name: "sessions: resumed within a context, with the certificate that they began with",
    needs: "openssl",
    run: (lab) =>
      withSessions(async (visitor) => {
        for (const version of VERSIONS) {
          await withGate(lab, asking("require"), async (gate) => {
            assert.deepEqual(await visitor.visit(gate, { version, device: "good" }), { served: true, reused: false });
            assert.deepEqual(await visitor.visit(gate, { version, device: "good" }), { served: true, reused: true });
            const [first, again] = gate.facts.map(({ certificate: der }) => der && Buffer.from(der).toString("base64"));
            assert.ok(first);
            assert.equal(again, first);
          });
          visitor.forget();
        }
      }),
  },
  {
    name: "sessions: begun without a certificate, resumed without one",
    needs: "openssl",
    run: (lab) =>
      withSessions(async (visitor) => {
        for (const version of VERSIONS) {
          await withGate(lab, asking("request"), async (gate) => {
            assert.deepEqual(await visitor.visit(gate, { version }), { served: true, reused: false });
            assert.deepEqual(await visitor.visit(gate, { version }), { served: true, reused: true });
            assert.deepEqual(gate.facts.map((it) => it.certificate), [undefined, undefined]);
          });
          visitor.forget();
        }
      }),
  },
  {
    name: "sessions: outlive the connections that they came from, and a garbage collection",
    needs: "openssl",
    run: (lab) =>
      withSessions(async (visitor) => {
        const context = await contextOf(lab);
        await withGate(lab, context, async (gate) => {
          await visitor.visit(gate, { version: "1.3" });
          await Promise.all(gate.door.ends.map((end) => end.untilClosed()));
          gate.door.ends.length = 0;
          const { Bun } = globalThis as unknown as { Bun?: { gc(force: boolean): void } };
          for (let i = 0; i < 5; i += 1) {
            Bun?.gc(true);
            await new Promise((resolve) => setTimeout(resolve, 10));
          }
          assert.deepEqual(await visitor.visit(gate, { version: "1.3" }), { served: true, reused: true });
        });
      }),
  },
  {
    name: "sessions: never cross contexts: what was begun with one that asks for nothing proves nothing to another",
    needs: "openssl",
    run: (lab) =>
      withSessions(async (visitor) => {
        const open = await contextOf(lab);
        for (const [version, asks] of VERSIONS.flatMap((it) => [[it, "require"], [it, "request"]] as const)) {
          await withGate(lab, open, async (gate) => void (await visitor.visit(gate, { version })));
          await withGate(lab, asking(asks), async (gate) => {
            const { served } = await visitor.visit(gate, { version });
            assert.equal(served, asks === "request");
            assert.deepEqual(gate.facts.map((it) => it.certificate), served ? [undefined] : []);
          });
          visitor.forget();
        }
      }),
  },
  {
    name: "sessions: never cross contexts: another authority's certificate does not come in by its session",
    needs: "openssl",
    run: (lab) =>
      withSessions(async (visitor) => {
        const first = await contextOf(lab, asking("require"));
        const ca = certificate("self_signed").cert;
        const others = [await contextOf(lab, asking("require", { ca })), await contextOf(lab, asking("request", { ca }))];
        for (const [version, other] of VERSIONS.flatMap((it) => others.map((context) => [it, context] as const))) {
          await withGate(lab, first, async (gate) => {
            assert.equal((await visitor.visit(gate, { version, device: "good" })).served, true);
          });
          await withGate(lab, other, async (gate) => {
            // Without a certificate of its own it is nobody, or refused where nobody is let in.
            const { served } = await visitor.visit(gate, { version });
            if (other === others[0]) assert.equal(served, false);
            assert.deepEqual(gate.facts.filter((it) => it.certificate !== undefined), []);
          });
          visitor.forget();
        }
      }),
  },
  {
    name: "sessions: one that was begun with a bad certificate is worth nothing",
    needs: "openssl",
    run: (lab) =>
      withSessions(async (visitor) => {
        for (const [version, asks] of VERSIONS.flatMap((it) => [[it, "require"], [it, "request"]] as const)) {
          const context = await contextOf(lab, asking(asks));
          // It may be let go with a session all the same, since the refusal is ours and not the library's.
          await withGate(lab, context, async (gate) => {
            for (const device of ["expired", "server_only"]) {
              for (let time = 1; time <= 3; time += 1) assert.equal((await visitor.visit(gate, { version, device })).served, false, device);
              visitor.forget();
            }
            assert.equal(gate.facts.length, 0);
          });
        }
      }),
  },
  {
    name: "sessions: a certificate that was revoked meanwhile does not come back by its session (crl)",
    needs: "openssl",
    run: (lab) =>
      withSessions(async (visitor) => {
        for (const version of VERSIONS) {
          await withGate(lab, asking("require", { crl: devicesFile("crl_empty.pem") }), async (gate) => {
            assert.equal((await visitor.visit(gate, { version, device: "revoked" })).served, true);
          });
          await withGate(lab, asking("require", { crl: devicesFile("crl.pem") }), async (gate) => {
            assert.deepEqual(await visitor.visit(gate, { version, device: "revoked" }), { served: false, reused: false });
          });
          visitor.forget();
        }
      }),
  },
];

/** In the middle of what OpenSSL says of a session it may come back. */
const WORDS = "hello there";

interface Wish {
  readonly version: (typeof VERSIONS)[number];
  /** The certificate that it shows; none when it has none. */
  readonly device?: string;
}

/** OpenSSL's client, which keeps its last session in a file and offers it the next time. */
class Visitor {
  readonly #file: string;

  constructor(folder: string) {
    this.#file = join(folder, "session");
  }

  forget(): void {
    rmSync(this.#file, { force: true });
  }

  async visit({ port }: Gate, { version, device }: Wish): Promise<{ served: boolean; reused: boolean }> {
    const folder = "test/fixtures/tls";
    const words = [`-tls${version.replace(".", "_")}`, "-sess_out", this.#file];
    if (existsSync(this.#file)) words.push("-sess_in", this.#file);
    if (device !== undefined) words.push("-cert", `${folder}/clients/${device}.pem`, "-key", `${folder}/clients/${device}.key`);
    const client = new OpensslClient(port, ...words);
    try {
      client.type(WORDS);
      await client.until("the echo or the end", ({ said, isClosed }) => said.includes(WORDS) || isClosed);
      // What came after the echo, such as a ticket, is read before the end of the input is.
      client.endInput();
      await client.until("its end", ({ isClosed }) => isClosed);
    } finally {
      client.kill();
    }
    return { served: client.said.includes(WORDS), reused: /^Reused, /m.test(client.said) };
  }
}

async function withSessions(use: (visitor: Visitor) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "sluice-"));
  try {
    await use(new Visitor(folder));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
