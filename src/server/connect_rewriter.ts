import type { Limits } from "../config/types.ts";
import { parseRewrite, type RewriteRule } from "../config/rewrite_rule.ts";
import { type Connect, readConnect } from "../mqtt/connect.ts";
import { type Fault, fault } from "../mqtt/fault.ts";
import { type ConnectChanges, isUnchanged, rewriteConnect } from "../mqtt/rewrite.ts";
import { rewriteConnack } from "../mqtt/rewrite_connack.ts";
import type { Claims } from "../policy/authentication/types.ts";
import { changesFor } from "../policy/rewrite.ts";
import type { TemplateClient } from "../policy/template.ts";
import type { Pool } from "../pool/pool.ts";
import type { Rewritten } from "../session/rewritten.ts";
import type { Session } from "../session/session.ts";
import { usernameOf } from "./session_keys.ts";

/** What becomes of CONNECTs by the rules of the pools and by the longest keep-alive. Loaded only where there is one of them. */
export class ConnectRewriter {
  readonly #rules = new Map<Pool, RewriteRule>();
  readonly #sizeMax: number;

  constructor(pools: Iterable<Pool>, { keepAliveMaxSeconds, packetSizeMax: sizeMax }: Pick<Limits, "keepAliveMaxSeconds" | "packetSizeMax">) {
    this.#sizeMax = sizeMax;
    for (const pool of pools) {
      const rule = pool.config.connect;
      if (rule !== undefined || keepAliveMaxSeconds !== undefined) this.#rules.set(pool, { ...(rule ?? NO_RULE), keepAliveMaxSeconds });
    }
  }

  /** For the pool that the session has now. Answers why the client is turned away, if it is; what its brokers get is set in the session. */
  rewrite(session: Session, claims: Claims | undefined): Fault | undefined {
    const rule = this.#rules.get(session.pool);
    const connect = session.connect as NonNullable<Session["connect"]>;
    if (rule === undefined || connect.rewritten !== undefined) return undefined;
    const changes = changesFor(rule, new ClientFacts(session, claims), connect);
    if ("code" in changes) return changes;
    if (isUnchanged(changes)) return undefined;
    const frame = rewriteConnect(connect, changes, { sizeMax: this.#sizeMax });
    if ("code" in frame) return frame;
    const read = readConnect(frame); // a rule that makes something illegal of it must not get through
    if ("refused" in read) return fault("internal_error", `the rewritten CONNECT: ${read.refused.detail}`);
    connect.rewritten = new RewrittenConnect(read, connect, changes);
    if (read.clientId !== connect.clientId) session.idAtBrokers = read.clientId;
    return undefined;
  }
}

const NO_RULE = parseRewrite({}) as RewriteRule;

class RewrittenConnect implements Rewritten {
  readonly connect: Connect;
  readonly #original: Connect;
  readonly #changes: ConnectChanges;

  constructor(connect: Connect, original: Connect, changes: ConnectChanges) {
    this.connect = connect;
    this.#original = original;
    this.#changes = changes;
  }

  connack(frame: Uint8Array): Uint8Array | Fault {
    return rewriteConnack(frame, this.#original, this.#changes);
  }
}

/** What templates may name. Each is looked up when one does: a peer's address, say, is asked of the kernel. */
class ClientFacts implements TemplateClient {
  readonly #session: Session;
  readonly claims: Claims | undefined;

  constructor(session: Session, claims: Claims | undefined) {
    this.#session = session;
    this.claims = claims;
  }

  get #connect(): Connect {
    return this.#session.connect as Connect;
  }

  get clientId() {
    return this.#connect.clientId;
  }

  get username() {
    return usernameOf(this.#session);
  }

  get certificate() {
    return this.#session.origin?.tls?.certificate;
  }

  get address() {
    return this.#session.address;
  }

  get port() {
    return this.#session.origin?.port ?? this.#session.client.remotePort;
  }

  get listener() {
    return this.#session.context.listenerName;
  }

  get serverName() {
    return this.#session.origin?.tls?.serverName;
  }

  get version() {
    return this.#connect.version;
  }
}
