import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestScope } from "../../support/process.ts";

export interface Asked {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export type Answer = (response: ServerResponse, asked: Asked) => void;

/** A service on a loopback port that answers as the test says at the moment. It ends with the test. */
export class Service {
  readonly url: URL;
  readonly asked: Asked[] = [];
  answer: Answer;

  constructor(port: number, answer: Answer) {
    this.url = new URL(`http://127.0.0.1:${port}/`);
    this.answer = answer;
  }

  static async start(t: TestScope, answer: Answer): Promise<Service> {
    let service: Service | undefined;
    const server = createServer((request, response) => {
      const chunks: Uint8Array[] = [];
      request.on("data", (chunk: Uint8Array) => chunks.push(chunk));
      request.on("end", () => {
        const asked = { method: request.method, path: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() };
        service!.asked.push(asked);
        service!.answer(response, asked);
      });
      response.on("error", () => {});
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    service = new Service((server.address() as AddressInfo).port, answer);
    t.after(() => {
      server.close();
      server.closeAllConnections();
    });
    return service;
  }
}

/** Answers with this status and, as JSON unless it is text, this body. */
export function says(status: number, body: unknown = ""): Answer {
  return (response) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  };
}

/** Takes the request and never answers. */
export const isSilent: Answer = () => {};
