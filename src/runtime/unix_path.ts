/** The ways to the file of a unix socket, which differ between the runtimes. */
export interface SocketFiles {
  /** What is there, behind a symbolic link. Rejects when that cannot be seen. */
  kind(path: string): Promise<"nothing" | "socket" | "other">;
  /** Resolves when somebody listens there; rejects with what the runtime says when not. */
  probe(path: string): Promise<void>;
  remove(path: string): Promise<void>;
}

const IN_USE: { readonly code?: string; readonly name?: string } = { code: "EADDRINUSE" };

/** `sun_path` without its final zero; Node would cut a longer one off without a word. */
const PATH_SIZE_MAX = process.platform === "linux" ? 107 : 103;

/**
 * Makes room for a unix socket: a process that died leaves its socket behind, and nobody can listen there until it is removed. Only a
 * socket that nobody listens behind is; throws an error with a code otherwise.
 */
export async function claimPath(path: string, files: SocketFiles): Promise<void> {
  if (Buffer.byteLength(path) > PATH_SIZE_MAX) throw { message: `the path of a unix socket has at most ${PATH_SIZE_MAX} bytes` };
  const kind = await files.kind(path);
  if (kind === "nothing") return;
  if (kind === "other") throw { code: "EEXIST" };
  const refusal = await files.probe(path).then(() => IN_USE, (thrown: unknown) => thrown as typeof IN_USE);
  if (refusal.code !== "ECONNREFUSED" && refusal.name !== "ConnectionRefused") throw refusal;
  await files.remove(path);
}

/** Runs what binds a socket so that its file has the mode from its first moment; nothing else runs meanwhile. */
export function withMode<T>(mode: number | undefined, bind: () => T): T {
  if (mode === undefined) return bind();
  const before = process.umask(0o777 & ~mode);
  try {
    return bind();
  } finally {
    process.umask(before);
  }
}
