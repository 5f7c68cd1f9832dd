import crypto from "node:crypto";

export interface Argon2idWork {
  readonly password: Uint8Array;
  readonly salt: Uint8Array;
  readonly memoryKiB: number;
  readonly passes: number;
  readonly lanes: number;
  readonly hashBytes: number;
}

/** Node since 24.7, and Bun: computed in the thread pool. The types of Node 20 do not know it. */
type NativeArgon2 = (
  algorithm: "argon2id",
  parameters: { message: Uint8Array; nonce: Uint8Array; parallelism: number; tagLength: number; memory: number; passes: number },
  callback: (error: Error | null, hash: Uint8Array) => void,
) => void;

/** Not a named import: that one cannot be loaded where it is missing. */
const native = (crypto as { argon2?: NativeArgon2 }).argon2;

/** How long the event loop is held at a time where the runtime has no Argon2 of its own. */
const SLICE_MS = 2;

/** Argon2id (RFC 9106), version 1.3. */
export function argon2id(work: Argon2idWork): Promise<Uint8Array> {
  return native === undefined ? inTurn(work) : inThreadPool(native, work);
}

function inThreadPool(argon2: NativeArgon2, { password, salt, memoryKiB, passes, lanes, hashBytes }: Argon2idWork): Promise<Uint8Array> {
  const parameters = { message: password, nonce: salt, parallelism: lanes, tagLength: hashBytes, memory: memoryKiB, passes };
  return new Promise((resolve, reject) => {
    argon2("argon2id", parameters, (error, hash) => (error === null || error === undefined ? resolve(new Uint8Array(hash)) : reject(error)));
  });
}

/** The last one that was begun in slices. */
let last: Promise<unknown> = Promise.resolve();

/** One after the other: two at a time would take the memory of two, and end no sooner. */
function inTurn(work: Argon2idWork): Promise<Uint8Array> {
  const done = last.then(() => inSlices(work));
  last = done.catch(() => {});
  return done;
}

async function inSlices({ password, salt, memoryKiB, passes, lanes, hashBytes }: Argon2idWork): Promise<Uint8Array> {
  const { argon2idAsync } = await import("@noble/hashes/argon2.js");
  return argon2idAsync(password, salt, { m: memoryKiB, t: passes, p: lanes, dkLen: hashBytes, asyncTick: SLICE_MS });
}
