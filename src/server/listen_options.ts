import type { CertificateMaterial, ListenerConfig, ListenerTlsConfig } from "../config/types.ts";
import type { ListenOptions, NetworkError, ServerTlsOptions, System } from "../runtime/types.ts";
import { systemdDescriptor } from "./systemd.ts";

/** What the runtime is asked for: the address, or the socket that systemd has opened already. */
export function listenOptions({ host, port, unixPath: path, unixMode: mode, systemdName, tls }: ListenerConfig, system: System): ListenOptions | NetworkError {
  const descriptor = systemdName === undefined ? undefined : systemdDescriptor(system, systemdName);
  if (typeof descriptor === "object") return descriptor;
  return {
    ...(host !== undefined && { host }),
    port,
    ...(path !== undefined && { path }),
    ...(mode !== undefined && { mode }),
    ...(descriptor !== undefined && { descriptor }),
    startsTls: tls !== undefined && tls !== "passthrough",
  };
}

export function tlsOptions({ minVersion, alpn }: ListenerTlsConfig, { config, cert, key, ca, crl }: CertificateMaterial): ServerTlsOptions {
  const { clientCertificates } = config;
  return { cert, key, minVersion, alpn, clientCertificates, ...(ca !== undefined && { ca }), ...(crl !== undefined && { crl }) };
}
