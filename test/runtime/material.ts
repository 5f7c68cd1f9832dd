import { readFileSync } from "node:fs";
import type { ClientTlsOptions, ServerTlsOptions } from "../../src/runtime/types.ts";

const fixture = (name: string) => readFileSync(`test/fixtures/tls/${name}`, "utf8");
export const certificate = (name: string): { readonly cert: string; readonly key: string } => ({ cert: fixture(`${name}.pem`), key: fixture(`${name}.key`) });
export const trusted: Pick<ClientTlsOptions, "ca" | "insecure"> = { ca: fixture("ca.pem"), insecure: false };

export const serverOptions = (more: Partial<ServerTlsOptions> = {}): ServerTlsOptions =>
  ({ ...certificate("server"), minVersion: "1.2", alpn: [], clientCertificates: "none", ...more });
