import type { JWTHeaderParameters, JWTPayload, JWTVerifyOptions } from "jose";
import { ALGORITHMS, type JwtKeys } from "./jwt_keys.ts";
import { NEXT, refused, type Authenticator, type Identity, type Refused, type Verdict } from "./types.ts";
import { isUsername } from "./username.ts";

/** The three parts of a signed token (RFC 7515 section 3.1). The last one is empty in unsigned ones, which are refused below. */
const TOKEN = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/;
/** Tokens with a few roles have 1 KB. */
const TOKEN_LENGTH_MAX = 16_384;

export interface JwtOptions {
  readonly keys: JwtKeys;
  /** Those of `ALGORITHMS` for the kind of keys, or some of them; others are not allowed all the same. */
  readonly algorithms: readonly string[];
  /** Who must have made it; empty: anybody with the key. */
  readonly issuers: readonly string[];
  /** For whom it must be, one of these; empty: not looked at. */
  readonly audiences: readonly string[];
  /** By how much our clock may differ from the issuer's. */
  readonly leewayMs: number;
  /** Whether a token must say when it ends. */
  readonly requiresExpiry: boolean;
  /** Where in CONNECT the token stands. */
  readonly field: "password" | "username";
  /** The claim that becomes the user name, "sub" say: the one in CONNECT is only what the client says. */
  readonly usernameClaim: string;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
}

/** Checks JSON Web Tokens (RFC 7519). What has not the shape of one is left to the next. */
export function createJwtAuthenticator(options: JwtOptions): Authenticator {
  return {
    name: "jwt",
    check(identity) {
      const token = tokenIn(identity, options.field);
      if (token === undefined) return NEXT;
      return token.length > TOKEN_LENGTH_MAX ? refused("bad_credentials", `the token is longer than ${TOKEN_LENGTH_MAX} characters`) : verify(options, token);
    },
  };
}

function tokenIn({ username, password }: Identity, field: JwtOptions["field"]): string | undefined {
  // Bytes that are no ASCII give characters that no token has.
  const text = field === "username" ? username : password && Buffer.from(password.buffer, password.byteOffset, password.length).toString("latin1");
  return text !== undefined && TOKEN.test(text) ? text : undefined;
}

/** Why no key was found, on its way through jose. */
class NoKey extends Error {
  readonly verdict: Refused;

  constructor(verdict: Refused) {
    super(verdict.detail);
    this.verdict = verdict;
  }
}

async function verify(options: JwtOptions, token: string): Promise<Verdict> {
  const { jwtVerify } = await import("jose");
  try {
    const { payload } = await jwtVerify(token, (header) => keyFor(options.keys, header), requirements(options));
    return verdictOn(payload, options);
  } catch (thrown) {
    return thrown instanceof NoKey ? thrown.verdict : refused("bad_credentials", reasonOf(thrown));
  }
}

async function keyFor(keys: JwtKeys, header: JWTHeaderParameters) {
  const found = await keys.find(header);
  if ("refused" in found) throw new NoKey(refused("bad_credentials", found.refused));
  if ("unavailable" in found) throw new NoKey(refused("auth_unavailable", found.unavailable));
  return found.key;
}

function requirements({ keys, algorithms, issuers, audiences, leewayMs, requiresExpiry, wallClock }: JwtOptions): JWTVerifyOptions {
  const ofThisKind: readonly string[] = ALGORITHMS[keys.kind];
  return {
    algorithms: algorithms.filter((algorithm) => ofThisKind.includes(algorithm)),
    clockTolerance: leewayMs / 1_000,
    currentDate: new Date(wallClock()),
    ...(issuers.length > 0 && { issuer: [...issuers] }),
    ...(audiences.length > 0 && { audience: [...audiences] }),
    ...(requiresExpiry && { requiredClaims: ["exp"] }),
  };
}

function verdictOn(payload: JWTPayload, { usernameClaim }: JwtOptions): Verdict {
  // Without a prototype no name finds more than the token has, "constructor" neither.
  const claims: Record<string, unknown> = Object.assign(Object.create(null), payload);
  const username = claims[usernameClaim];
  if (!isUsername(username)) return refused("not_authorized", `the token's claim "${usernameClaim}" is no user name`);
  return { kind: "allowed", username, claims, ...(payload.exp !== undefined && { expiresAt: payload.exp * 1_000 }) };
}

const REASONS: ReadonlyMap<unknown, string> = new Map([
  ["ERR_JWT_EXPIRED", "the token has expired"],
  ["ERR_JWS_SIGNATURE_VERIFICATION_FAILED", "the token's signature is not of our key"],
  ["ERR_JOSE_ALG_NOT_ALLOWED", "the token's algorithm is not among those that are allowed"],
  ["ERR_JOSE_NOT_SUPPORTED", "the token wants something that is not supported"],
]);

/** Not jose's own message: claims are text of strangers. */
function reasonOf(thrown: unknown): string {
  const { code, claim, reason } = thrown as { code?: unknown; claim?: unknown; reason?: unknown };
  if (code === "ERR_JWT_CLAIM_VALIDATION_FAILED") return `the token's claim "${String(claim)}" is ${reason === "missing" ? "missing" : "not as it has to be"}`;
  return REASONS.get(code) ?? "the token cannot be read";
}
