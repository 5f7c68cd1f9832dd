import { connect, createSecureContext, type SecureContext } from "node:tls";

export interface HandshakeLoadOptions {
  readonly port: number;
  /** PEM text; the server's certificate must be of this authority and for localhost. */
  readonly ca: string;
  readonly perSecond: number;
}

/** More are not begun before others are over: a machine that cannot keep up is asked for less. */
const UNDER_WAY_MAX = 64;
const TICK_MS = 5;

/** Full TLS handshakes, one after the other at a steady rate, none resumed, each on a connection of its own. */
export class HandshakeLoad {
  readonly #options: HandshakeLoadOptions;
  /** One for all of them: to make one costs as much as a handshake. */
  readonly #trust: SecureContext;
  readonly #startedAt = performance.now();
  readonly #timer: ReturnType<typeof setInterval>;
  #begun = 0;
  #underWay = 0;
  #stoppedAt: number | undefined;
  done = 0;
  /** Why each failed one did. */
  readonly failures: string[] = [];
  /** Of the certificate that the latest handshake got: its serial number. */
  serial = "";

  constructor(options: HandshakeLoadOptions) {
    this.#options = options;
    this.#trust = createSecureContext({ ca: options.ca });
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Handshakes that were done in a second, on average. */
  get rate(): number {
    return (this.done * 1000) / ((this.#stoppedAt ?? performance.now()) - this.#startedAt);
  }

  get isIdle(): boolean {
    return this.#underWay === 0;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stoppedAt ??= performance.now();
  }

  #tick(): void {
    const due = ((performance.now() - this.#startedAt) * this.#options.perSecond) / 1000;
    while (this.#begun < due && this.#underWay < UNDER_WAY_MAX) this.#handshake();
    // What could not be begun in time is not made up for later.
    this.#begun = Math.max(this.#begun, Math.floor(due));
  }

  #handshake(): void {
    this.#begun++;
    this.#underWay++;
    const socket = connect({ host: "127.0.0.1", port: this.#options.port, secureContext: this.#trust, servername: "localhost" });
    let outcome: "done" | "failed" | undefined;
    socket.on("secureConnect", () => {
      outcome = "done";
      this.done++;
      this.serial = socket.getPeerCertificate().serialNumber;
      socket.end();
    });
    socket.on("error", (error: Error) => {
      if (outcome === undefined) this.#failed(error.message);
      outcome ??= "failed";
    });
    socket.on("close", () => {
      this.#underWay--;
      if (outcome === undefined) this.#failed("closed before it was done");
    });
  }

  #failed(why: string): void {
    this.failures.push(why);
  }
}
