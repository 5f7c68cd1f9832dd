import { stat, unlink } from "node:fs/promises";
import { connect } from "node:net";
import type { SocketFiles } from "./unix_path.ts";

/** Over `node:` modules: for Node and Deno. */
export const socketFiles: SocketFiles = {
  async kind(path) {
    try {
      return (await stat(path)).isSocket() ? "socket" : "other";
    } catch (thrown) {
      if ((thrown as { code?: string }).code === "ENOENT") return "nothing";
      throw thrown;
    }
  },
  probe: (path) =>
    new Promise((resolve, reject) => {
      const socket = connect({ path }, () => {
        socket.destroy();
        resolve();
      });
      socket.once("error", reject);
    }),
  remove: unlink,
};
