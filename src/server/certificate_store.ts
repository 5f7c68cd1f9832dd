import { readCertificateAgain } from "../config/material.ts";
import type { CertificateConfig, CertificateMaterial, ListenerTlsConfig } from "../config/types.ts";
import { EVENTS } from "../observe/events.ts";
import type { Log } from "../observe/log.ts";
import type { NetworkError, Runtime, ServerTlsOptions, TlsContext } from "../runtime/types.ts";
import { hex } from "../transport/certificates/der.ts";
import { readCertificate, type Certificate } from "../transport/certificates/read.ts";
import { matchesServerName } from "../transport/tls_hello/server_name.ts";
import { stampOf } from "./file_stamps.ts";
import { tlsOptions } from "./listen_options.ts";

interface Entry {
  readonly config: CertificateConfig;
  readonly context: TlsContext;
  /** Patterns of server names, in lower case. */
  readonly names: readonly string[];
  readonly certificate: Certificate;
  /** What the files looked like when they were read. */
  readonly stamp: string;
  /** The last warning of its expiry: so many days before. */
  warnedDays: number;
}

const DAY_MS = 86_400_000;
/** Days before a certificate expires at which the log says so. */
const WARN_DAYS = [1, 7, 21];

/**
 * The certificates of one listener, ready for handshakes. Files are looked at again and again; what fits is swapped in for new handshakes,
 * what does not changes nothing. Sessions that run never notice.
 */
export class CertificateStore {
  readonly #runtime: Runtime;
  readonly #log: Log;
  readonly #listener: string;
  readonly #tls: ListenerTlsConfig;
  #entries: readonly Entry[] = [];
  #isLooking = false;

  private constructor(runtime: Runtime, log: Log, listener: string, tls: ListenerTlsConfig) {
    this.#runtime = runtime;
    this.#log = log;
    this.#listener = listener;
    this.#tls = tls;
  }

  static async open(options: { runtime: Runtime; log: Log; listener: string; tls: ListenerTlsConfig }, materials: readonly CertificateMaterial[]): Promise<CertificateStore | NetworkError> {
    const store = new CertificateStore(options.runtime, options.log, options.listener, options.tls);
    const entries: Entry[] = [];
    for (const material of materials) {
      const entry = await store.#entryOf(material, await store.#stampOf(material.config));
      if ("code" in entry) return entry;
      entries.push(entry);
    }
    store.#entries = entries;
    store.#warnOfExpiry();
    return store;
  }

  /** The certificate for the name that a client asks for: an exact name before a wildcard, the first certificate where none fits. */
  choose(serverName: string | undefined): TlsContext {
    const first = this.#entries[0] as Entry;
    return (serverName === undefined || this.#entries.length === 1 ? first : (this.#find(serverName) ?? first)).context;
  }

  #find(serverName: string): Entry | undefined {
    return this.#entries.find(({ names }) => names.includes(serverName)) ?? this.#entries.find(({ names }) => names.some((name) => matchesServerName(name, serverName)));
  }

  /** When the first of them expires, in milliseconds since 1970. */
  get expiresAt(): number {
    return Math.min(...this.#entries.map(({ certificate }) => certificate.notAfter));
  }

  /** Reads again what has changed on disk. Never throws, and never leaves a listener without a certificate. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      for (const [index, entry] of this.#entries.entries()) {
        const stamp = await this.#stampOf(entry.config);
        if (stamp !== entry.stamp) this.#replace(index, await this.#readAgain(entry, stamp));
      }
      this.#warnOfExpiry();
    } finally {
      this.#isLooking = false;
    }
  }

  #replace(index: number, entry: Entry): void {
    this.#entries = this.#entries.map((each, at) => (at === index ? entry : each));
  }

  /** The new one; or the old one, with the stamp of what was found bad, so that it is said once. */
  async #readAgain(old: Entry, stamp: string): Promise<Entry> {
    const { config } = old;
    const fields = { listener: this.#listener, file: config.certFile };
    const material = await readCertificateAgain(config, this.#runtime.system);
    const entry = "problems" in material ? { code: "tls" as const, message: material.problems[0]?.reason ?? "unreadable" } : await this.#entryOf(material, stamp);
    if ("code" in entry) {
      this.#log.error(EVENTS.certificateRefused, `the new certificate is not used, the old one stays: ${entry.message}`, fields);
      return { ...old, stamp };
    }
    const now = this.#runtime.system.wallClock();
    if (entry.certificate.notAfter <= now || entry.certificate.notBefore > now) {
      const why = entry.certificate.notAfter <= now ? "it has expired" : "it is not valid yet";
      this.#log.error(EVENTS.certificateRefused, `the new certificate is not used, the old one stays: ${why}`, fields);
      return { ...old, stamp };
    }
    const until = new Date(entry.certificate.notAfter).toISOString();
    if (isSame(entry.context.options, old.context.options)) return entry; // it was only touched
    const isNew = hex(entry.certificate.fields.der) !== hex(old.certificate.fields.der);
    const what = isNew ? `${config.certFile}, valid until ${until}` : `what changed beside ${config.certFile}: its key, chain, authorities or revocation list`;
    this.#log.info(EVENTS.certificateLoaded, `new handshakes use ${what}`, { ...fields, expires: until });
    return entry;
  }

  async #entryOf(material: CertificateMaterial, stamp: string): Promise<Entry | NetworkError> {
    const { config, cert } = material;
    const context = await this.#runtime.createTlsContext(tlsOptions(this.#tls, material));
    if ("code" in context) return context;
    const certificate = await readCertificate(cert);
    if (certificate === undefined) return { code: "tls", message: `cannot read the certificate in "${config.certFile}"` };
    return { config, context, names: config.names ?? certificate.serverNames, certificate, stamp, warnedDays: Infinity };
  }

  #stampOf({ certFile, keyFile, caFile, crlFile }: CertificateConfig): Promise<string> {
    return stampOf(this.#runtime.system, [certFile, keyFile, caFile, crlFile]);
  }

  #warnOfExpiry(): void {
    const now = this.#runtime.system.wallClock();
    for (const entry of this.#entries) {
      const days = (entry.certificate.notAfter - now) / DAY_MS;
      const mark = days <= 0 ? 0 : WARN_DAYS.find((each) => days <= each);
      if (mark === undefined || mark >= entry.warnedDays) continue;
      entry.warnedDays = mark;
      const until = new Date(entry.certificate.notAfter).toISOString();
      const words = days <= 0 ? `has expired on ${until}` : `expires in ${days < 2 ? `${Math.ceil(days * 24)} hours` : `${Math.floor(days)} days`}, on ${until}`;
      this.#log.warn(EVENTS.certificateExpiry, `the certificate in ${entry.config.certFile} ${words}`, { listener: this.#listener, file: entry.config.certFile, expires: until });
    }
  }
}

function isSame(one: ServerTlsOptions, other: ServerTlsOptions): boolean {
  return one.cert === other.cert && one.key === other.key && one.ca === other.ca && one.crl === other.crl;
}
