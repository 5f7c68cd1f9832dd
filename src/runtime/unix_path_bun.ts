import type { SocketFiles } from "./unix_path.ts";

/** Over Bun's own functions: `node:fs` would cost 6 MB of memory. */
export const socketFiles: SocketFiles = {
  async kind(path) {
    try {
      return (await Bun.file(path).stat()).isSocket() ? "socket" : "other";
    } catch (thrown) {
      if ((thrown as { code?: string }).code === "ENOENT") return "nothing";
      throw thrown;
    }
  },
  async probe(path) {
    const socket = await Bun.connect({ unix: path, socket: { data() {} } });
    socket.terminate();
  },
  remove: (path) => Bun.file(path).delete(),
};
