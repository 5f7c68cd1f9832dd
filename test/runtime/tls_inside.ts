import type { Connection, Dial, DialHandler, DialOptions, NetworkError, Runtime } from "../../src/runtime/types.ts";
import { DEADLINE_MS } from "./ends.ts";
import { serverOptions, trusted } from "./material.ts";
import { SecureDoor } from "./secure_door.ts";

/** A runtime whose connections, dialed and accepted, are TLS ones: what holds for plain ones has to hold for them. */
export function tlsInside(runtime: Runtime): Runtime {
  return {
    ...runtime,
    get descriptorsDangling() {
      return runtime.descriptorsDangling;
    },
    async listen(options, handler) {
      const context = await runtime.createTlsContext(serverOptions());
      if ("code" in context) throw context;
      return runtime.listen({ ...options, startsTls: true }, new SecureDoor(runtime, context, handler, DEADLINE_MS));
    },
    connect: (options, handler) => new SecureDial(runtime, options, handler).start(),
  };
}

class SecureDial implements Dial, DialHandler {
  readonly #runtime: Runtime;
  readonly #options: DialOptions;
  readonly #handler: DialHandler;
  #underWay: { cancel(): void } | undefined;

  constructor(runtime: Runtime, options: DialOptions, handler: DialHandler) {
    this.#runtime = runtime;
    this.#options = options;
    this.#handler = handler;
  }

  start(): this {
    this.#underWay = this.#runtime.connect({ ...this.#options, startsTls: true }, this);
    return this;
  }

  cancel(): void {
    this.#underWay?.cancel();
  }

  opened(connection: Connection): void {
    const options = { ...trusted, serverName: this.#options.path === undefined ? this.#options.host : "localhost", alpn: [] };
    this.#underWay = this.#runtime.secureClient(connection, options, {
      secured: (secure) => this.#handler.opened(secure),
      failed: (error) => this.failed(error),
    });
  }

  failed(error: NetworkError): void {
    this.#handler.failed(error);
  }
}
