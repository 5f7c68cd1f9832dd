import { addressBytes } from "../../lib/network.ts";
import { ByteBuffer } from "../../lib/byte_buffer.ts";
import type { Egress, EgressStep, Target, Via } from "./types.ts";

/** RFC 1928 sections 3 to 6, RFC 1929. */
const VERSION = 5;
const LOGIN_VERSION = 1;
const NO_LOGIN = 0;
const LOGIN = 2;
const NO_METHOD = 0xff;
const CONNECT = 1;
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;
const TEXT_BYTES_MAX = 255;

const REPLIES: readonly string[] = [
  "succeeded",
  "has failed",
  "forbids a connection to the broker",
  "cannot reach the broker's network",
  "cannot reach the broker's host",
  "was refused by the broker",
  "got no answer from the broker: its packets' time to live expired",
  "knows no CONNECT",
  "does not know this type of address",
];

const encoder = new TextEncoder();

type State = "method" | "login" | "reply";

/**
 * A connection through a SOCKS 5 proxy (RFC 1928), with user and password (RFC 1929) if there are any. A name goes to the proxy as it is, and
 * the proxy resolves it: nothing of the target reaches our own resolver.
 */
export class Socks5 implements Egress {
  readonly #via: Via;
  readonly #target: Target;
  readonly #answers = new ByteBuffer();
  /** Bytes of the answers that were used. */
  #position = 0;
  #state: State = "method";

  constructor(via: Via, target: Target) {
    this.#via = via;
    this.#target = target;
  }

  first(): Uint8Array {
    return this.#via.username === undefined ? Uint8Array.of(VERSION, 1, NO_LOGIN) : Uint8Array.of(VERSION, 2, NO_LOGIN, LOGIN);
  }

  push(chunk: Uint8Array): EgressStep {
    this.#answers.append(chunk);
    const send: number[] = [];
    for (;;) {
      const step = this.#readAnswer(this.#answers.view().subarray(this.#position));
      if (step === undefined) return send.length > 0 ? { send: Uint8Array.from(send) } : undefined;
      if (!("send" in step)) return step;
      send.push(...step.send);
    }
  }

  #readAnswer(bytes: Uint8Array): EgressStep {
    if (this.#state === "method") return this.#readMethod(bytes);
    return this.#state === "login" ? this.#readLogin(bytes) : this.#readReply(bytes);
  }

  #readMethod([version, method]: Uint8Array): EgressStep {
    if (version !== undefined && version !== VERSION) return refuse("does not speak SOCKS 5");
    if (method === undefined) return undefined;
    this.#position += 2;
    if (method === NO_LOGIN) return this.#request();
    const { username, password = "" } = this.#via;
    if (method === LOGIN && username !== undefined) return this.#login(encoder.encode(username), encoder.encode(password));
    if (method === LOGIN || (method === NO_METHOD && username === undefined)) return refuse("asks for credentials");
    return refuse(method === NO_METHOD ? "wants another login than user and password" : `chose login method ${method}, which was not offered`);
  }

  /** RFC 1929 section 2. */
  #login(username: Uint8Array, password: Uint8Array): EgressStep {
    if (username.length > TEXT_BYTES_MAX || password.length > TEXT_BYTES_MAX) return refuse(`takes no user or password of more than ${TEXT_BYTES_MAX} bytes`);
    this.#state = "login";
    return { send: Uint8Array.of(LOGIN_VERSION, username.length, ...username, password.length, ...password) };
  }

  #readLogin([version, status]: Uint8Array): EgressStep {
    if (version !== undefined && version !== LOGIN_VERSION) return refuse("answered the login in another protocol");
    if (status === undefined) return undefined;
    this.#position += 2;
    return status === 0 ? this.#request() : refuse("refused the credentials");
  }

  /** RFC 1928 section 4. */
  #request(): EgressStep {
    const { host, port } = this.#target;
    const address = addressBytes(host);
    const name = encoder.encode(host);
    if (address === undefined && name.length > TEXT_BYTES_MAX) return refuse(`takes no name of more than ${TEXT_BYTES_MAX} bytes`);
    const destination = address === undefined ? [NAME, name.length, ...name] : [address.length === 4 ? IPV4 : IPV6, ...address];
    this.#state = "reply";
    return { send: Uint8Array.of(VERSION, CONNECT, 0, ...destination, port >> 8, port & 0xff) };
  }

  /** RFC 1928 section 6. A refusal is taken from the first two bytes: some proxies send no more. */
  #readReply(bytes: Uint8Array): EgressStep {
    const [version, reply, reserved, type, nameLength] = bytes;
    if (version !== undefined && version !== VERSION) return refuse("answered the request in another protocol");
    if (reply === undefined) return undefined;
    if (reply !== 0) return refuse(`${REPLIES[reply] ?? "refused the connection"} (reply ${reply})`);
    if (reserved !== undefined && reserved !== 0) return refuse("set a reserved byte of its reply");
    if (type === undefined || (type === NAME && nameLength === undefined)) return undefined;
    const boundBytes = type === IPV4 ? 4 : type === IPV6 ? 16 : type === NAME ? 1 + (nameLength as number) : undefined;
    if (boundBytes === undefined) return refuse(`replied with an address of type ${type}`);
    const length = 4 + boundBytes + 2;
    return bytes.length < length ? undefined : { done: true, rest: bytes.subarray(length) };
  }
}

function refuse(reason: string): { readonly refused: string } {
  return { refused: `the SOCKS proxy ${reason}` };
}
