import { TimerWheel } from "../../../src/lib/timer_wheel.ts";
import { hostAndPort } from "../../../src/runtime/address.ts";
import type { AcceptHandler, Connection, ConnectionHandler, Dial, DialHandler, Runtime } from "../../../src/runtime/types.ts";
import { UpgradeResponseReader, upgradeRequest } from "../../../src/transport/websocket/client_upgrade.ts";
import { WebSocketConnection } from "../../../src/transport/websocket/connection.ts";
import { randomWords } from "../../../src/transport/websocket/random_words.ts";
import { RequestHeadReader } from "../../../src/transport/websocket/request_head.ts";
import { answerUpgrade, type UpgradeRules } from "../../../src/transport/websocket/server_upgrade.ts";
import type { WebSocketSettings } from "../../../src/transport/websocket/settings.ts";

export const RULES: UpgradeRules = { path: "/mqtt", protocols: ["mqtt", "mqttv3.1"], origins: undefined };

export const wheel = new TimerWheel(0);
export const asServer: WebSocketSettings = { role: "server", wheel };
export const asClient: WebSocketSettings = { role: "client", wheel, maskingKey: randomWords((words) => crypto.getRandomValues(words)) };

/** A runtime whose connections, dialled and accepted, are WebSocket ones: what holds for TCP has to hold for them. */
export function overWebSocket(runtime: Runtime): Runtime {
  return {
    ...runtime,
    get descriptorsDangling() {
      return runtime.descriptorsDangling;
    },
    listen: (options, handler) => runtime.listen(options, new Doorkeeper(handler)),
    connect: (options, handler) => new UpgradingDial(handler).start(runtime, options),
  };
}

class Doorkeeper implements AcceptHandler {
  readonly #handler: AcceptHandler;

  constructor(handler: AcceptHandler) {
    this.#handler = handler;
  }

  admit(): boolean {
    return this.#handler.admit();
  }

  accept(connection: Connection): void {
    const reader = new RequestHeadReader();
    connection.handler = beforeUpgrade((chunk) => {
      const head = reader.push(chunk);
      if (head === undefined) return;
      const answer = answerUpgrade(head, RULES);
      connection.write(answer.bytes);
      if (!answer.accepted) return connection.end();
      const socket = new WebSocketConnection(connection, asServer);
      this.#handler.accept(socket);
      socket.start(answer.rest);
    });
  }
}

class UpgradingDial implements Dial, DialHandler {
  readonly #handler: DialHandler;
  #dial: Dial | undefined;
  #authority = "";

  constructor(handler: DialHandler) {
    this.#handler = handler;
  }

  start(runtime: Runtime, options: Parameters<Runtime["connect"]>[0]): this {
    this.#authority = hostAndPort(options.host, options.port);
    this.#dial = runtime.connect(options, this);
    return this;
  }

  cancel(): void {
    this.#dial?.cancel();
  }

  opened(connection: Connection): void {
    const random = crypto.getRandomValues(new Uint8Array(16));
    const request = upgradeRequest({ host: this.#authority, path: "/mqtt", headers: {}, random });
    const reader = new UpgradeResponseReader(request);
    connection.handler = beforeUpgrade((chunk) => {
      const answer = reader.push(chunk);
      if (answer === undefined) return;
      if ("refused" in answer) return this.#handler.failed({ code: "refused", message: answer.refused });
      const socket = new WebSocketConnection(connection, asClient);
      this.#handler.opened(socket);
      socket.start(answer.rest);
    });
    connection.write(request.bytes);
  }

  failed(...reason: Parameters<DialHandler["failed"]>): void {
    this.#handler.failed(...reason);
  }
}

function beforeUpgrade(read: (chunk: Uint8Array) => void): ConnectionHandler {
  return { data: (_, chunk) => read(chunk), drain: () => {}, end: (connection) => connection.end(), close: () => {} };
}
