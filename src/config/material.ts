import { fileErrorWords, type Files } from "./file.ts";
import { pathText, type ConfigProblem, type KeyPath } from "./problem.ts";
import type { System } from "../runtime/types.ts";
import type { BrokerConfig, Configuration, ListenerConfig, Material, PoolConfig } from "./types.ts";

export interface ReadMaterial {
  readonly material: Material;
  /** The one that was given, with the passwords from their files. */
  readonly configuration: Configuration;
  /** What is odd but not wrong, such as a certificate that has expired. */
  readonly warnings: readonly string[];
  readonly problems?: undefined;
}

interface Reading {
  readonly system: Files & Pick<System, "wallClock">;
  readonly problems: ConfigProblem[];
  readonly warnings: string[];
}

/** Reads and checks every file that the configuration names: certificates, keys, authorities and passwords. */
export async function readMaterial(
  configuration: Configuration,
  system: Reading["system"],
): Promise<ReadMaterial | { readonly problems: readonly ConfigProblem[] }> {
  const reading: Reading = { system, problems: [], warnings: [] };
  const listeners = new Map<string, { cert: string; key: string }>();
  for (const [index, listener] of configuration.listeners.entries()) {
    const pair = await readPair(reading, listener, ["listeners", index, "tls"]);
    if (pair) listeners.set(listener.name, pair);
  }
  const authorities = new Map<string, { ca?: string; insecure: boolean }>();
  const pools: PoolConfig[] = [];
  for (const pool of configuration.pools) {
    const ca = await readAuthorities(reading, pool);
    authorities.set(pool.name, { ...(ca !== undefined && { ca }), insecure: pool.tls.insecure });
    pools.push({ ...pool, brokers: await readPasswords(reading, pool) });
  }
  if (reading.problems.length > 0) return { problems: reading.problems };
  return { material: { listeners, pools: authorities }, configuration: { ...configuration, pools }, warnings: reading.warnings };
}

async function readPair(reading: Reading, { tls }: ListenerConfig, path: KeyPath): Promise<{ cert: string; key: string } | undefined> {
  if (!tls) return undefined;
  const cert = await readText(reading, tls.certFile, [...path, "cert"]);
  const key = await readText(reading, tls.keyFile, [...path, "key"]);
  if (cert === undefined || key === undefined) return undefined;
  // Costs start-up time and memory: only who has certificates pays.
  const { createPrivateKey } = await import("node:crypto");
  const leaf = (await parseCertificates(reading, tls.certFile, cert, [...path, "cert"]))?.[0];
  let privateKey;
  try {
    privateKey = createPrivateKey(key);
  } catch {
    const encrypted = /ENCRYPTED/.test(key);
    refuse(reading, [...path, "key"], `cannot use "${tls.keyFile}" as a private key: ${encrypted ? "it is encrypted" : "expected PEM text"}`,
      encrypted ? `decrypt it: openssl pkey -in ${tls.keyFile} -out key.pem` : undefined);
  }
  if (!leaf || !privateKey) return undefined;
  if (!leaf.checkPrivateKey(privateKey)) {
    refuse(reading, [...path, "key"], `the key "${tls.keyFile}" does not fit the certificate "${tls.certFile}"`, "the certificate of the listener comes first in its file, before its chain");
    return undefined;
  }
  return { cert, key };
}

async function readAuthorities(reading: Reading, pool: PoolConfig): Promise<string | undefined> {
  if (pool.tls.caFile === undefined) return undefined;
  const path = ["pools", pool.name, "tls", "ca"];
  const ca = await readText(reading, pool.tls.caFile, path);
  if (ca !== undefined) await parseCertificates(reading, pool.tls.caFile, ca, path);
  return ca;
}

async function readPasswords(reading: Reading, pool: PoolConfig): Promise<BrokerConfig[]> {
  const brokers: BrokerConfig[] = [];
  for (const [index, broker] of pool.brokers.entries()) {
    const path = ["pools", pool.name, "brokers", index, "password_file"];
    const text = broker.passwordFile === undefined ? undefined : await readText(reading, broker.passwordFile, path);
    const password = text?.replace(/\r?\n$/, "");
    if (password === "") refuse(reading, path, `the password file "${broker.passwordFile}" is empty`);
    brokers.push(password === undefined ? broker : { ...broker, password });
  }
  return brokers;
}

/** Every certificate of a PEM file; undefined, and a problem, when one cannot be read or there is none. */
async function parseCertificates(reading: Reading, file: string, text: string, path: KeyPath) {
  const { X509Certificate } = await import("node:crypto");
  const blocks = text.match(/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END [^-]*-----/g) ?? [];
  try {
    const certificates = blocks.map((block) => new X509Certificate(block));
    if (certificates.length > 0) {
      for (const certificate of certificates) warnAboutDates(reading, file, certificate);
      return certificates;
    }
  } catch {
    // Said below, in the same words as for a file without any.
  }
  refuse(reading, path, `cannot use "${file}" as a certificate: expected PEM text${/PRIVATE KEY/.test(text) ? ", found a private key" : ""}`);
  return undefined;
}

function warnAboutDates(reading: Reading, file: string, { validFrom, validTo }: { validFrom: string; validTo: string }): void {
  const now = reading.system.wallClock();
  if (Date.parse(validTo) < now) reading.warnings.push(`the certificate in "${file}" expired on ${validTo}`);
  if (Date.parse(validFrom) > now) reading.warnings.push(`the certificate in "${file}" is not valid before ${validFrom}`);
}

async function readText(reading: Reading, file: string, path: KeyPath): Promise<string | undefined> {
  const bytes = await reading.system.readFile(file);
  if (bytes instanceof Uint8Array) {
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      refuse(reading, path, `cannot use "${file}": expected text`);
      return undefined;
    }
  }
  reading.problems.push({ place: "configuration", path, reason: `cannot read "${file}" for ${pathText(path)}: ${fileErrorWords(bytes)}`, suggestion: undefined, exit: 66 });
  return undefined;
}

function refuse(reading: Reading, path: KeyPath, reason: string, suggestion?: string): void {
  reading.problems.push({ place: "configuration", path, reason, suggestion, exit: 78 });
}
