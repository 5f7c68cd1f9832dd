import { fileErrorWords, type Files } from "./file.ts";
import { pathText, type ConfigProblem, type KeyPath } from "./problem.ts";
import type { System } from "../runtime/types.ts";
import { dateText } from "../transport/certificates/date_text.ts";
import type {
  AuthenticationConfig,
  BrokerConfig,
  CertificateConfig,
  CertificateMaterial,
  CheckConfig,
  Configuration,
  HealthConfig,
  ListenerConfig,
  Material,
  PoolConfig,
  PoolMaterial,
  ViaConfig,
} from "./types.ts";
import { warningsOf } from "./warnings.ts";

export interface ReadMaterial {
  readonly material: Material;
  /** The one that was given, with the passwords from their files. */
  readonly configuration: Configuration;
  /** What is odd but not wrong, such as a certificate that has expired. */
  readonly warnings: readonly string[];
  /** The same of the listeners' own certificates: who opens them says so itself. */
  readonly expired: readonly string[];
  readonly problems?: undefined;
}

interface Reading {
  readonly system: Files & Pick<System, "wallClock">;
  readonly problems: ConfigProblem[];
  readonly warnings: string[];
  readonly expired: string[];
}

/** Reads and checks every file that the configuration names: certificates, keys, authorities and passwords. */
export async function readMaterial(
  configuration: Configuration,
  system: Reading["system"],
): Promise<ReadMaterial | { readonly problems: readonly ConfigProblem[] }> {
  const reading: Reading = { system, problems: [], warnings: warningsOf(configuration), expired: [] };
  const listeners = new Map<string, readonly CertificateMaterial[]>();
  for (const [index, listener] of configuration.listeners.entries()) {
    const certificates = await readCertificates(reading, listener, ["listeners", index, "tls"]);
    if (certificates.length > 0) listeners.set(listener.name, certificates);
  }
  const materials = new Map<string, PoolMaterial>();
  const pools: PoolConfig[] = [];
  for (const pool of configuration.pools) {
    materials.set(pool.name, await readPoolTls(reading, pool));
    const via = pool.via && (await readViaPassword(reading, pool.via, ["pools", pool.name, "via", "password_file"]));
    const health = pool.health && (await readHealthPassword(reading, pool.health, ["pools", pool.name, "health", "password_file"]));
    pools.push({ ...pool, brokers: await readPasswords(reading, pool), ...(via && { via }), ...(health && { health }) });
  }
  const checks = configuration.authentication && (await readChecks(reading, configuration.authentication));
  if (reading.problems.length > 0) return { problems: reading.problems };
  const { warnings, expired } = reading;
  return { material: { listeners, pools: materials, ...(checks && { checks }) }, configuration: { ...configuration, pools }, warnings, expired };
}

/** One certificate with its files, read again: for those that change while the proxy runs. */
export async function readCertificateAgain(
  config: CertificateConfig,
  system: Reading["system"],
): Promise<CertificateMaterial | { readonly problems: readonly ConfigProblem[] }> {
  const reading: Reading = { system, problems: [], warnings: [], expired: [] };
  const material = await readCertificate(reading, config, []);
  return material ?? { problems: reading.problems };
}

export async function readPoolTlsAgain(pool: PoolConfig, system: Reading["system"]): Promise<PoolMaterial | { readonly problems: readonly ConfigProblem[] }> {
  const reading: Reading = { system, problems: [], warnings: [], expired: [] };
  const material = await readPoolTls(reading, pool);
  return reading.problems.length > 0 ? { problems: reading.problems } : material;
}

async function readCertificates(reading: Reading, { tls }: ListenerConfig, path: KeyPath): Promise<CertificateMaterial[]> {
  const found: CertificateMaterial[] = [];
  if (tls === undefined || tls === "passthrough") return found;
  // The first stands in the table itself, if there is one there.
  for (const [index, config] of tls.certificates.entries()) {
    const material = await readCertificate(reading, config, placeOfCertificate(tls.certificates, index, path));
    if (material) found.push(material);
  }
  return found;
}

function placeOfCertificate(certificates: readonly CertificateConfig[], index: number, path: KeyPath): KeyPath {
  return certificates.length === 1 || index === 0 ? path : [...path, "certificates", index - 1];
}

async function readCertificate(reading: Reading, config: CertificateConfig, path: KeyPath): Promise<CertificateMaterial | undefined> {
  const pair = await readPair(reading, config, path, "listener");
  const ca = await readAuthorities(reading, config.caFile, [...path, "ca"]);
  const crl = await readRevocations(reading, config.crlFile, [...path, "crl"]);
  if (!pair || (ca === undefined) !== (config.caFile === undefined) || (crl === undefined) !== (config.crlFile === undefined)) return undefined;
  return { config, ...pair, ...(ca !== undefined && { ca }), ...(crl !== undefined && { crl }) };
}

interface PairFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Behind a certificate, as where both are in one file, Deno does not find it. */
const PRIVATE_KEY = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[^]*?-----END (?:[A-Z]+ )?PRIVATE KEY-----\r?\n?/;

/** Of a listener's pair the TLS library has its say when it is opened, and again before a changed one is used. */
async function readPair(reading: Reading, { certFile, keyFile }: PairFiles, path: KeyPath, owner: "listener" | "pool"): Promise<{ cert: string; key: string } | undefined> {
  const cert = await readText(reading, certFile, [...path, "cert"]);
  const keyText = await readText(reading, keyFile, [...path, "key"]);
  if (cert === undefined || keyText === undefined) return undefined;
  const key = PRIVATE_KEY.exec(keyText)?.[0] ?? keyText;
  if (owner === "listener" && (await isPlainlyPair(reading, certFile, cert, key))) return { cert, key };
  const leaf = (await parseCertificates(reading, certFile, cert, [...path, "cert"], owner === "listener" ? reading.expired : reading.warnings))?.[0];
  const { keyProblem } = await import("../transport/certificates/pair.ts");
  const problem = keyProblem(key, leaf?.raw);
  if (problem?.kind === "mismatch") refuse(reading, [...path, "key"], `the key "${keyFile}" does not fit the certificate "${certFile}"`, problem.suggestion);
  else if (problem) {
    const encrypted = /ENCRYPTED/.test(key);
    refuse(reading, [...path, "key"], `cannot use "${keyFile}" as a private key: ${encrypted ? "it is encrypted" : "expected PEM text"}`,
      encrypted ? `decrypt it: openssl pkey -in ${keyFile} -out key.pem` : undefined);
  }
  return leaf && !problem ? { cert, key } : undefined;
}

/** Whether it can be seen without `node:crypto`, which costs 2 MB on Bun, that the key is the certificate's. */
async function isPlainlyPair(reading: Reading, certFile: string, cert: string, key: string): Promise<boolean> {
  const [{ readAllFields }, { namesPublicKey }] = await Promise.all([import("../transport/certificates/fields.ts"), import("../transport/certificates/key_fit.ts")]);
  const chain = readAllFields(cert) ?? [];
  if (!chain[0] || !namesPublicKey(key, chain[0].publicKey)) return false;
  for (const [index, certificate] of chain.entries()) warnAboutDates(reading, certFile, certificate, index === 0 ? reading.expired : reading.warnings);
  return true;
}

async function readPoolTls(reading: Reading, { name, tls }: PoolConfig): Promise<PoolMaterial> {
  const path = ["pools", name, "tls"];
  const ca = await readAuthorities(reading, tls.caFile, [...path, "ca"]);
  const { certFile, keyFile, insecure } = tls;
  const pair = certFile === undefined || keyFile === undefined ? undefined : await readPair(reading, { certFile, keyFile }, path, "pool");
  return { insecure, ...(ca !== undefined && { ca }), ...pair };
}

async function readAuthorities(reading: Reading, file: string | undefined, path: KeyPath): Promise<string | undefined> {
  if (file === undefined) return undefined;
  const ca = await readText(reading, file, path);
  if (ca === undefined) return undefined;
  return (await parseCertificates(reading, file, ca, path)) && ca;
}

async function readRevocations(reading: Reading, file: string | undefined, path: KeyPath): Promise<string | undefined> {
  if (file === undefined) return undefined;
  const crl = await readText(reading, file, path);
  if (crl === undefined || /-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/.test(crl)) return crl;
  refuse(reading, path, `cannot use "${file}" as a revocation list: expected PEM text with BEGIN X509 CRL`);
  return undefined;
}

async function readPasswords(reading: Reading, pool: PoolConfig): Promise<BrokerConfig[]> {
  const brokers: BrokerConfig[] = [];
  for (const [index, broker] of pool.brokers.entries()) {
    const password = await readPassword(reading, broker.passwordFile, ["pools", pool.name, "brokers", index, "password_file"]);
    brokers.push(password === undefined ? broker : { ...broker, password });
  }
  return brokers;
}

async function readViaPassword(reading: Reading, via: ViaConfig, path: KeyPath): Promise<ViaConfig> {
  const password = await readPassword(reading, via.passwordFile, path);
  return password === undefined ? via : { ...via, password };
}

async function readHealthPassword(reading: Reading, health: HealthConfig, path: KeyPath): Promise<HealthConfig> {
  const password = await readPassword(reading, health.passwordFile, path);
  return password === undefined ? health : { ...health, password };
}

async function readPassword(reading: Reading, file: string | undefined, path: KeyPath): Promise<string | undefined> {
  const password = file === undefined ? undefined : (await readText(reading, file, path))?.replace(/\r?\n$/, "");
  if (password === "") refuse(reading, path, `the password file "${file}" is empty`);
  return password;
}

/**
 * Every certificate of a PEM file, as the TLS libraries read them; undefined, and a problem, when one cannot be read or there is none. `expired`:
 * where to tell of the first.
 */
async function parseCertificates(reading: Reading, file: string, text: string, path: KeyPath, expired = reading.warnings) {
  const { X509Certificate } = await import("node:crypto");
  const blocks = text.match(/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END [^-]*-----/g) ?? [];
  try {
    const certificates = blocks.map((block) => new X509Certificate(block));
    if (certificates.length > 0) {
      for (const [index, { validFrom, validTo }] of certificates.entries()) {
        warnAboutDates(reading, file, { notBefore: Date.parse(validFrom), notAfter: Date.parse(validTo) }, index === 0 ? expired : reading.warnings);
      }
      return certificates;
    }
  } catch {
    // Said below, in the same words as for a file without any.
  }
  refuse(reading, path, `cannot use "${file}" as a certificate: expected PEM text${/PRIVATE KEY/.test(text) ? ", found a private key" : ""}`);
  return undefined;
}

function warnAboutDates(reading: Reading, file: string, { notBefore, notAfter }: { notBefore: number; notAfter: number }, expired: string[]): void {
  const now = reading.system.wallClock();
  if (notAfter < now) expired.push(`the certificate in "${file}" expired on ${dateText(notAfter)}`);
  if (notBefore > now) reading.warnings.push(`the certificate in "${file}" is not valid before ${dateText(notBefore)}`);
}

/** What is in them is judged by those who understand it: `readMaterial` of the server. */
async function readChecks(reading: Reading, { checks }: AuthenticationConfig): Promise<(Uint8Array | undefined)[]> {
  const contents: (Uint8Array | undefined)[] = [];
  for (const [index, check] of checks.entries()) {
    const named = fileOfCheck(check);
    contents.push(named && (await readBytes(reading, named.file, ["authentication", "checks", index, named.key])));
  }
  return contents;
}

/** The file that a check reads, and the key that names it. */
export function fileOfCheck(check: CheckConfig): { readonly key: "file" | "keys_file"; readonly file: string } | undefined {
  if (check.type === "password_file") return { key: "file", file: check.file };
  return check.type === "jwt" && "file" in check.keys ? { key: "keys_file", file: check.keys.file } : undefined;
}

/** The service that a check asks. */
export function serviceOfCheck(check: CheckConfig): { readonly url: string; readonly timeoutMs: number } | undefined {
  if (check.type === "http") return check;
  return check.type === "jwt" && "url" in check.keys ? check.keys : undefined;
}

async function readText(reading: Reading, file: string, path: KeyPath): Promise<string | undefined> {
  const bytes = await readBytes(reading, file, path);
  try {
    return bytes && new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    refuse(reading, path, `cannot use "${file}": expected text`);
    return undefined;
  }
}

async function readBytes(reading: Reading, file: string, path: KeyPath): Promise<Uint8Array | undefined> {
  const bytes = await reading.system.readFile(file);
  if (bytes instanceof Uint8Array) return bytes;
  reading.problems.push({ place: "configuration", path, reason: `cannot read "${file}" for ${pathText(path)}: ${fileErrorWords(bytes)}`, suggestion: undefined, exit: 66 });
  return undefined;
}

function refuse(reading: Reading, path: KeyPath, reason: string, suggestion?: string): void {
  reading.problems.push({ place: "configuration", path, reason, suggestion, exit: 78 });
}
