import { strict as assert } from "node:assert";
import { X509Certificate } from "node:crypto";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { createServer, type TlsOptions, type TLSSocket } from "node:tls";
import type { ClientTlsOptions, Connection, Handshake, NetworkError, TlsFacts } from "../../src/runtime/types.ts";
import { within } from "../support/deadline.ts";
import { type Case, certificate, DEADLINE_MS, End, type Lab, pattern, settle, trusted, withoutTls } from "./lab.ts";
import { device, devicesFile, only, VERSIONS } from "./secure_lab.ts";

const ours = (more: Partial<ClientTlsOptions> = {}): ClientTlsOptions =>
  ({ ...trusted, serverName: "localhost", alpn: [], ...more });

/** TLS only: a client's handshake on a connection that is open already. Brokers here are servers of `node:tls`. */
export const secureClientCases: readonly Case[] = [
  {
    name: "secureClient: what was written just before goes out before the ClientHello",
    run: (lab) =>
      withBroker({}, async (broker) => {
        const header = Buffer.from("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
        broker.prefixLength = header.length;
        const { end } = await secured(lab, broker.port, ours(), { before: (connection) => void connection.write(header) });
        end.connection.write(pattern(1000));
        await end.until("the echo", ({ received }) => received === 1000);
        assert.equal(broker.prefix, header.toString());
        end.connection.reset();
        await end.untilClosed();
      }),
  },
  {
    name: "secureClient: a name is sent as SNI and checked, whatever was dialed; an address is checked and not sent",
    run: (lab) =>
      withBroker(certificate("server"), async (broker) => {
        for (const [serverName, sent] of [["localhost", "localhost"], ["127.0.0.1", undefined], ["::1", undefined]] as const) {
          const { end } = await secured(lab, broker.port, ours({ serverName }));
          end.connection.write(pattern(1)); // its echo comes when the broker has seen the whole handshake
          await end.until("the echo", ({ received }) => received === 1);
          assert.equal(broker.visitors.at(-1)!.serverName, sent, serverName);
          end.connection.reset();
          await end.untilClosed();
        }
        const error = await refused(lab, broker.port, ours({ serverName: "broker.example" }));
        assert.match(error.message, /^TLS handshake: the certificate is not for "broker\.example", it is for .*localhost/);
        assert.equal(broker.names.at(-1), "broker.example");
      }),
  },
  {
    name: "secureClient: a name of another certificate than the address's",
    run: (lab) =>
      withBroker(certificate("other"), async (broker) => {
        const { end, facts } = await secured(lab, broker.port, ours({ serverName: "broker.example" }));
        assert.equal(fingerprint(facts), new X509Certificate(certificate("other").cert).fingerprint256);
        end.connection.reset();
        await end.untilClosed();
      }),
  },
  {
    name: "secureClient: each version, with the broker's certificate in the facts unless nobody verified it",
    async run(lab) {
      for (const version of VERSIONS) {
        await withBroker({ ...certificate("server"), ...only(version) }, async (broker) => {
          for (const insecure of [false, true]) {
            const { end, facts } = await secured(lab, broker.port, ours({ insecure }));
            assert.deepEqual([facts.version, facts.alpn], [version, undefined]);
            assert.equal(fingerprint(facts), insecure ? undefined : new X509Certificate(certificate("server").cert).fingerprint256);
            end.connection.reset();
            await end.untilClosed();
          }
        });
      }
    },
  },
  {
    name: "secureClient: ALPN is offered, and what the broker chose is told; a broker that knows none of it refuses",
    async run(lab) {
      await withBroker({ ...certificate("server"), ALPNProtocols: ["mqtt", "http/1.1"] }, async (broker) => {
        const { end, facts } = await secured(lab, broker.port, ours({ alpn: ["http/1.1", "mqtt"] }));
        assert.equal(facts.alpn, "mqtt");
        end.connection.reset();
        await end.untilClosed();
        const error = await refused(lab, broker.port, ours({ alpn: ["x-other"] }));
        assert.match(error.message, /^TLS handshake: no common application protocol \(ALPN\)/);
      });
      await withBroker(certificate("server"), async (broker) => {
        const { end, facts } = await secured(lab, broker.port, ours({ alpn: ["mqtt"] }));
        assert.equal(facts.alpn, undefined);
        end.connection.reset();
        await end.untilClosed();
      });
    },
  },
  {
    name: "secureClient: a certificate of our own is shown to a broker that asks for one",
    async run(lab) {
      for (const version of VERSIONS) {
        const asks = { ...certificate("server"), ...only(version), requestCert: true, rejectUnauthorized: true, ca: devicesFile("ca.pem") };
        await withBroker(asks, async (broker) => {
          const { end } = await secured(lab, broker.port, ours(device("good")));
          end.connection.write(pattern(1));
          await end.until("the echo", ({ received }) => received === 1);
          assert.equal(broker.visitors.at(-1)!.commonName, "good");
          end.connection.reset();
          await end.untilClosed();
        });
      }
    },
  },
  {
    name: "secureClient: a broker that wants a certificate and gets none, or another authority's, ends it with a reason",
    async run(lab) {
      for (const version of VERSIONS) {
        const asks = { ...certificate("server"), ...only(version), requestCert: true, rejectUnauthorized: true, ca: devicesFile("ca.pem") };
        await withBroker(asks, async (broker) => {
          for (const credentials of [{}, certificate("server")]) {
            // In 1.3 our side is done before the broker has seen the certificate: the refusal comes as the end of the connection.
            const outcome = await secure(lab, broker.port, ours(credentials));
            let error: NetworkError | undefined;
            if ("code" in outcome) error = outcome;
            else {
              await outcome.end.until("its end", ({ closed, ended }) => closed || ended);
              outcome.end.connection.reset();
              await outcome.end.untilClosed();
              ({ error } = outcome.end);
            }
            // A broker on Node or Deno hangs up on a bad certificate without a word.
            if (error !== undefined) assert.ok(["tls", "reset"].includes(error.code), error.message);
            assert.equal(broker.visitors.length, 0);
          }
        });
      }
    },
  },
  ...(
    [
      ["self-signed", certificate("self_signed"), ours(), /^TLS handshake: the certificate is not signed by a trusted authority \(self-signed\)$/],
      ["expired, with the day", certificate("expired"), ours(), /^TLS handshake: the certificate has expired, it was valid until \d{4}-\d\d-\d\d$/],
      ["not valid yet, with the day", device("not_yet_valid"), ours({ ca: devicesFile("ca.pem") }), /not valid yet, it will be from 2119-01-01 on$/],
      ["unknown authority", certificate("server"), ours({ ca: devicesFile("ca.pem") }), /^TLS handshake: the certificate comes from an unknown authority$/],
      ["another name", certificate("other"), ours(), /^TLS handshake: the certificate is not for "localhost", it is for DNS:broker\.example$/],
      ["the system's authorities", certificate("server"), { insecure: false, serverName: "localhost", alpn: [] }, /unknown authority$/],
    ] as const
  ).map(([what, material, options, message]): Case => ({
    name: `secureClient: refuses and says why: ${what}`,
    run: (lab) =>
      withBroker(material, async (broker) => {
        const error = await refused(lab, broker.port, options);
        assert.equal(error.code, "tls");
        assert.match(error.message, message);
        // Not even then.
        const { end } = await secured(lab, broker.port, { ...options, insecure: true });
        end.connection.reset();
        await end.untilClosed();
      }),
  })),
  {
    name: "secureClient: a broker's certificate that is made for clients only is refused",
    run: (lab) =>
      withBroker(device("good"), async (broker) => {
        const error = await refused(lab, broker.port, ours({ ca: devicesFile("ca.pem"), serverName: "device.example" }));
        // Deno has one code for everything, but this is plain to see in the certificate there is none.
        assert.match(error.message, lab.runtime.name === "deno" ? /^TLS handshake: the certificate / : /not made for this side of TLS/);
      }),
  },
  {
    name: "secureClient: a broker that speaks something else, hangs up, or resets",
    async run(lab) {
      const answers: readonly (readonly [(socket: Socket) => void, code: string, message: RegExp])[] = [
        [(socket) => socket.end("220 welcome to something else\r\n"), "tls", /^TLS handshake: what came is not TLS$/],
        [(socket) => socket.end(), "reset", /^TLS handshake: the peer hung up: does it speak TLS\?$/],
        [(socket) => socket.resetAndDestroy(), "reset", /^TLS handshake: the peer hung up: does it speak TLS\?$/],
      ];
      for (const [answer, code, message] of answers) {
        await withListener((socket) => socket.once("data", () => answer(socket)), async (port) => {
          const error = await refused(lab, port, ours());
          assert.equal(error.code, code, error.message);
          assert.match(error.message, message);
        });
      }
    },
  },
  {
    name: "secureClient: on a connection that is over already fails as reset, later than the call",
    run: (lab) =>
      withBroker({}, async (broker) => {
        for (const ending of ["end", "reset"] as const) {
          const outcome = await secure(lab, broker.port, ours(), { before: (connection) => connection[ending]() });
          assert.ok("code" in outcome);
          assert.equal(outcome.code, "reset");
        }
      }),
  },
  {
    name: "secureClient: material that cannot be used fails as tls, later than the call, and the connection is closed",
    async run(lab) {
      let closed = 0;
      await withListener((socket) => socket.on("close", () => (closed += 1)).resume(), async (port) => {
        const { cert } = certificate("server");
        for (const material of [{ cert, key: certificate("other").key }, { cert: "nonsense", key: "nonsense" }]) {
          const error = await refused(lab, port, ours(material));
          assert.equal(error.code, "tls", error.message);
        }
        await settle(lab);
      });
      assert.equal(closed, 2);
    },
  },
  {
    name: "cancel: of a client's handshake closes the connection, and nobody is called",
    run: async (lab) => {
      let heard: (() => void) | undefined;
      let gone: (() => void) | undefined;
      const hello = new Promise<void>((resolve) => (heard = resolve));
      const closing = new Promise<void>((resolve) => (gone = resolve));
      await withListener((socket) => socket.on("data", () => heard!()).on("end", () => socket.end()).on("close", () => gone!()), async (port) => {
        const never = () => assert.fail("called after cancel");
        const begun = new Promise<Handshake>((resolve) => {
          withoutTls(lab).runtime.connect({ host: "127.0.0.1", port, startsTls: true }, {
            opened: (connection) => resolve(lab.runtime.secureClient(connection, ours(), { secured: never, failed: never })),
            failed: never,
          });
        });
        const handshake = await begun;
        await within(DEADLINE_MS, hello, "the ClientHello");
        handshake.cancel();
        handshake.cancel();
        await within(DEADLINE_MS, closing, "the close");
        await settle(lab);
      });
    },
  },
];

interface Secured {
  readonly end: End;
  readonly facts: TlsFacts;
}

interface Wishes {
  /** Run on the plain connection, right before TLS is begun. */
  readonly before?: (connection: Connection) => void;
}

/** Dials and begins TLS at once. The plain connection must not be heard of again. */
function secure(lab: Lab, port: number, options: ClientTlsOptions, { before = () => {} }: Wishes = {}): Promise<Secured | NetworkError> {
  const stray = () => assert.fail("an event of a connection that is TLS's");
  const outcome = new Promise<Secured | NetworkError>((resolve) => {
    withoutTls(lab).runtime.connect({ host: "127.0.0.1", port, startsTls: true }, {
      opened(connection) {
        connection.handler = { data: stray, drain: stray, end: stray, close: stray };
        before(connection);
        let isBeginning = true;
        lab.runtime.secureClient(connection, options, {
          secured(secure, facts) {
            assert.equal(isBeginning, false, "secured inside secureClient");
            resolve({ end: new End().attach(secure), facts });
          },
          failed(error) {
            assert.equal(isBeginning, false, "failed inside secureClient");
            resolve(error);
          },
        });
        isBeginning = false;
      },
      failed: (error) => assert.fail(error.message),
    });
  });
  return within(DEADLINE_MS, outcome, "the handshake's outcome");
}

async function secured(lab: Lab, port: number, options: ClientTlsOptions, wishes?: Wishes): Promise<Secured> {
  const outcome = await secure(lab, port, options, wishes);
  assert.ok("end" in outcome, "message" in outcome ? outcome.message : "");
  return outcome;
}

async function refused(lab: Lab, port: number, options: ClientTlsOptions): Promise<NetworkError> {
  const outcome = await secure(lab, port, options);
  assert.ok("code" in outcome, "let through");
  return outcome;
}

interface Visitor {
  readonly serverName: string | undefined;
  readonly commonName: string | undefined;
}

/** A server of `node:tls` that echoes. */
class Broker {
  port = 0;
  /** Bytes to take off before TLS begins, and what they were. */
  prefixLength = 0;
  prefix = "";
  /** Who came through the whole handshake. */
  readonly visitors: Visitor[] = [];
  /** Every name that was asked for. */
  readonly names: string[] = [];
}

async function withBroker(options: TlsOptions, use: (broker: Broker) => Promise<void>): Promise<void> {
  const broker = new Broker();
  const server = createServer({ ...(options.cert === undefined && certificate("server")), ...options }, (socket) => {
    const { servername } = socket as TLSSocket & { servername?: string | false | null };
    const subject = (socket.getPeerCertificate() as { subject?: { CN?: string } } | null)?.subject;
    broker.visitors.push({ serverName: servername || undefined, commonName: subject?.CN });
    socket.on("data", (chunk) => socket.write(chunk));
    socket.on("end", () => socket.end());
    socket.on("error", () => {});
  });
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  await withListener((socket) => {
    socket.once("data", (chunk) => {
      broker.prefix = chunk.subarray(0, broker.prefixLength).toString();
      const name = /[a-z]+(\.example|host)/.exec(chunk.toString("latin1"))?.[0];
      if (name !== undefined) broker.names.push(name);
      socket.pause();
      setImmediate(() => {
        socket.unshift(chunk.subarray(broker.prefixLength));
        server.emit("connection", socket);
      });
    });
  }, async (port) => {
    broker.port = port;
    await use(broker);
  });
}

async function withListener(onSocket: (socket: Socket) => void, use: (port: number) => Promise<void>): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createTcpServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen({ port: 0, host: "127.0.0.1" }, resolve));
  try {
    await use((server.address() as AddressInfo).port);
  } finally {
    server.close();
    for (const socket of sockets) socket.destroy();
  }
}

function fingerprint({ certificate: der }: TlsFacts): string | undefined {
  return der && new X509Certificate(der).fingerprint256;
}
