import type { Configuration, ListenerConfig } from "../config/types.ts";
import type { System } from "../runtime/types.ts";
import type { AuthorityFault } from "../transport/certificates/authority_files.ts";
import { hostNames } from "../transport/certificates/host_names.ts";
import { ensureLocalAuthority } from "../transport/certificates/local_authority.ts";
import { stateDirectory } from "../transport/certificates/state_directory.ts";

/** A configuration in which every listener has its certificate. */
export interface WithCertificates {
  readonly configuration: Configuration;
  /** What clients must trust; undefined: no listener wanted a certificate made. */
  readonly authorityFile: string | undefined;
  /** The authority is new: no client trusts it yet. */
  readonly created: boolean;
  readonly warnings: readonly string[];
}

/** Listeners with `tls = "auto"` get the certificate that the local authority has made for this host; or why there is none. */
export async function withAutoCertificates(configuration: Configuration, system: System): Promise<WithCertificates | AuthorityFault> {
  if (!configuration.listeners.some(wantsCertificate)) return { configuration, authorityFile: undefined, created: false, warnings: [] };
  const directory = await stateDirectory(system);
  if (directory === undefined) return { reason: "there is no directory to keep the local authority in", suggestion: "set STATE_DIRECTORY, or give cert and key" };
  const authority = await ensureLocalAuthority(system, { directory, names: hostNames(await system.machine()) });
  if ("reason" in authority) return authority;
  const { caFile, certFile, keyFile, created, warnings } = authority;
  const listeners = configuration.listeners.map((listener) => withCertificate(listener, { caFile, certFile, keyFile }));
  return { configuration: { ...configuration, listeners }, authorityFile: caFile, created, warnings };
}

export function wantsCertificate({ tls }: ListenerConfig): boolean {
  return typeof tls === "object" && tls.auto !== undefined;
}

function withCertificate(listener: ListenerConfig, files: { readonly caFile: string; readonly certFile: string; readonly keyFile: string }): ListenerConfig {
  const { tls } = listener;
  if (typeof tls !== "object" || tls.auto === undefined) return listener;
  const { caFile: authorityFile, certFile, keyFile } = files;
  return { ...listener, tls: { ...tls, authorityFile, certificates: [{ ...tls.auto, certFile, keyFile }, ...tls.certificates] } };
}
