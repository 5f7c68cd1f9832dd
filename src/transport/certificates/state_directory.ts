import { join } from "node:path";
import type { System } from "../../runtime/types.ts";

/**
 * Where sluice keeps what it makes by itself: the first directory that systemd made for it (`StateDirectory=`), `sluice` under
 * XDG_STATE_HOME, /var/lib/sluice for root, or ~/.local/state/sluice. undefined: nowhere, as for a user without a home.
 */
export async function stateDirectory(system: Pick<System, "env" | "machine">): Promise<string | undefined> {
  const [given] = system.env("STATE_DIRECTORY")?.split(":") ?? [];
  if (given) return given;
  const stateHome = system.env("XDG_STATE_HOME");
  // A relative one is to be ignored: XDG Base Directory Specification 0.8.
  if (stateHome?.startsWith("/")) return join(stateHome, "sluice");
  const machine = await system.machine();
  if (machine.userId === 0) return "/var/lib/sluice";
  const home = machine.homeDirectory();
  return home ? join(home, ".local", "state", "sluice") : undefined;
}
