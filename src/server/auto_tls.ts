import type { Configuration, ListenerConfig } from "../config/types.ts";
import type { System } from "../runtime/types.ts";
import type { AuthorityFault } from "../transport/certificates/authority_files.ts";
import { hostNames } from "../transport/certificates/host_names.ts";
import { ensureLocalAuthority } from "../transport/certificates/local_authority.ts";
import { stateDirectory } from "../transport/certificates/state_directory.ts";

/** The local authority. */
export interface Authority {
  /** What clients must trust. */
  readonly file: string;
  /** It is new: no client trusts it yet. */
  readonly created: boolean;
}

/** A configuration in which every listener has its certificate. */
export interface WithCertificates {
  readonly configuration: Configuration;
  readonly authority: Authority;
  readonly warnings: readonly string[];
}

/** Listeners with `tls = "auto"` get the certificate that the local authority has made for this host; or why there is none. */
export async function withAutoCertificates(configuration: Configuration, system: System): Promise<WithCertificates | AuthorityFault> {
  const directory = await stateDirectory(system);
  if (directory === undefined) return { reason: "there is no directory to keep the local authority in", suggestion: "set STATE_DIRECTORY, or give cert and key" };
  const made = await ensureLocalAuthority(system, { directory, names: hostNames(await system.machine()) });
  if ("reason" in made) return made;
  const { caFile, certFile, keyFile, created, warnings } = made;
  const listeners = configuration.listeners.map((listener) => withCertificate(listener, { caFile, certFile, keyFile }));
  return { configuration: { ...configuration, listeners }, authority: { file: caFile, created }, warnings };
}

function withCertificate(listener: ListenerConfig, files: { readonly caFile: string; readonly certFile: string; readonly keyFile: string }): ListenerConfig {
  const { tls } = listener;
  if (typeof tls !== "object" || tls.auto === undefined) return listener;
  const { caFile: authorityFile, certFile, keyFile } = files;
  return { ...listener, tls: { ...tls, authorityFile, certificates: [{ ...tls.auto, certFile, keyFile }, ...tls.certificates] } };
}
