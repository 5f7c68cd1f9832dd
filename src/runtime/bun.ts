import { danglingDials, dialOnBun } from "./bun_dial.ts";
import { listenOnBun } from "./bun_listener.ts";
import { createTlsContextOnBun, secureServerOnBun } from "./bun_tls.ts";
import { system } from "./system_bun.ts";
import type { Dial, DialHandler, DialOptions, Runtime } from "./types.ts";

let net: Runtime | undefined;

/**
 * TLS to a broker goes over `node:tls`: Bun's own does not say which check failed, and sends an address as SNI. The module
 * is loaded at the first such dial, because it costs 3 MB that most who run sluice never need.
 */
class TlsDial implements Dial {
  #dial: Dial | undefined;
  #cancelled = false;

  start(options: DialOptions, handler: DialHandler): this {
    void import("./net.ts").then(({ runtime }) => {
      net = runtime;
      if (!this.#cancelled) this.#dial = runtime.connect(options, handler);
    });
    return this;
  }

  cancel(): void {
    this.#cancelled = true;
    this.#dial?.cancel();
  }
}

const native: Runtime = {
  name: "bun",
  version: Bun.version,
  capabilities: { tlsBackPressure: true, crl: true },
  system,
  listen: listenOnBun,
  connect: (options, handler) =>
    options.startsTls ? new TlsDial().start(options, handler) : dialOnBun(options, handler),
  createTlsContext: createTlsContextOnBun,
  secureServer: secureServerOnBun,
  // Loaded by the dial.
  secureClient: (connection, options, handler) => net!.secureClient(connection, options, handler),
  get descriptorsDangling() {
    return danglingDials();
  },
};

/** `SLUICE_RUNTIME=net` goes round a defect of the native sockets in the field. */
export const runtime: Runtime = process.env["SLUICE_RUNTIME"] === "net" ? (await import("./net.ts")).runtime : native;
