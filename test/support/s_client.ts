import { bytes, connect, disconnect } from "./mqtt_bytes.ts";
import { Child } from "./child.ts";

/** OpenSSL's own client: it speaks every version of TLS, takes tickets from file to file, and shows what came of a handshake. */

export interface SecureCall {
  /** A port of 127.0.0.1, or the path of a unix socket. */
  readonly port: number | string;
  /** SNI; none is sent without it. */
  readonly serverName?: string;
  /** More of its options, see s_client(1). */
  readonly words?: readonly string[];
}

/** What came of it. */
export interface SecureAnswer {
  /** CONNACK with success came back. */
  readonly isConnected: boolean;
  /** Such as `TLSv1.3`; undefined: there was no handshake. */
  readonly version: string | undefined;
  readonly isResumed: boolean;
  readonly alpn: string | undefined;
  /** The common name of the server's certificate; undefined for a resumed TLS 1.2 session too. */
  readonly commonName: string | undefined;
  /** What the server's alert says, in OpenSSL's words. */
  readonly alert: string | undefined;
  /** Everything that it printed, for the message of a failed test. */
  readonly transcript: string;
}

const CONNACK = "\x20\x02\x00\x00";
const DEADLINE_MS = 15_000;

/** Runs it to its end: a handshake, CONNECT and DISCONNECT behind it, and whatever comes back until the server closes. */
export async function callSecurely({ port, serverName, words = [] }: SecureCall): Promise<SecureAnswer> {
  const name = serverName === undefined ? ["-noservername"] : ["-servername", serverName];
  const place = typeof port === "string" ? ["-unix", port] : ["-connect", `127.0.0.1:${port}`];
  const child = await Child.start(["openssl", "s_client", ...place, ...name, "-ign_eof", ...words]);
  child.write(bytes(connect({ clientId: "s_client" }), disconnect()));
  child.closeInput();
  await child.ended(DEADLINE_MS);
  const said = `${child.stdout}\n${child.stderr}`;
  const [, how, version] = /^(New|Reused), (TLSv[\d.]+), /m.exec(said) ?? [];
  return {
    isConnected: said.includes(CONNACK),
    version,
    isResumed: how === "Reused",
    alpn: /^ALPN protocol: (.*)$/m.exec(said)?.[1],
    commonName: /^subject=.*?CN = ([^,\n]*)/m.exec(said)?.[1],
    alert: /(?:alert ([a-z ]+|number \d+):|SSL alert number (\d+))/.exec(said)?.[1],
    transcript: said,
  };
}
