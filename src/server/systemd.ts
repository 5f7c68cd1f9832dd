import type { NetworkError, System } from "../runtime/types.ts";

/** The first descriptor that systemd hands over (sd_listen_fds(3)). */
const FIRST = 3;

/** The descriptor of a socket that systemd opened for this process; an empty name means the only one. */
export function systemdDescriptor(system: System, name: string): number | NetworkError {
  const count = system.env("LISTEN_PID") === String(system.processId) ? Number(system.env("LISTEN_FDS") ?? 0) : 0;
  if (!(count > 0)) return refuse("systemd handed no socket over: start it by a socket unit");
  const names = (system.env("LISTEN_FDNAMES") ?? "").split(":").slice(0, count);
  if (name === "") return count === 1 ? FIRST : refuse(`systemd handed ${count} sockets over (${names.join(", ")}): say which, such as systemd://${names[0] || "name"}`);
  const index = names.indexOf(name);
  return index >= 0 ? FIRST + index : refuse(`systemd handed no socket "${name}" over, but: ${names.join(", ")}`);
}

function refuse(message: string): NetworkError {
  return { code: "other", message };
}
