import { createServer as createHttpServer } from "node:http";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { TestScope } from "./process.ts";

/** Forward proxies as small as they can be: HTTP's CONNECT (RFC 9110 section 9.3.6) and SOCKS 5 (RFC 1928, RFC 1929). */

export interface ForwardProxyOptions {
  /** `user:password`; given, nobody else gets through. */
  readonly login?: string;
  /** Names that this proxy alone knows, and the addresses behind them. */
  readonly hosts?: Readonly<Record<string, string>>;
}

export interface ForwardProxy {
  readonly port: number;
  /** What it was asked for, `host:port`, in order; refused ones too. */
  readonly targets: readonly string[];
}

export type ForwardProxyStart = (t: TestScope, options?: ForwardProxyOptions) => Promise<ForwardProxy>;

export async function startHttpProxy(t: TestScope, { login, hosts = {} }: ForwardProxyOptions = {}): Promise<ForwardProxy> {
  const targets: string[] = [];
  const wanted = login === undefined ? undefined : `Basic ${Buffer.from(login).toString("base64")}`;
  const server = createHttpServer((_, response) => response.writeHead(405).end());
  server.on("connect", (request, client: Socket, head: Buffer) => {
    client.on("error", () => {});
    targets.push(request.url ?? "");
    if (wanted !== undefined && request.headers["proxy-authorization"] !== wanted) {
      return client.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="test"\r\nContent-Length: 0\r\n\r\n');
    }
    const [, host = "", port] = /^\[?(.*?)\]?:(\d+)$/.exec(request.url ?? "") ?? [];
    passOn(client, hosts[host] ?? host, Number(port), {
      opened: (broker) => {
        client.write("HTTP/1.1 200 Connection established\r\n\r\n");
        if (head.length > 0) broker.write(head);
      },
      failed: () => client.end("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
    });
  });
  return { port: await listen(t, server), targets };
}

export async function startSocksProxy(t: TestScope, { login, hosts = {} }: ForwardProxyOptions = {}): Promise<ForwardProxy> {
  const targets: string[] = [];
  const server = createServer((client) => {
    client.on("error", () => {});
    void converse(client, { login, hosts, targets }).catch(() => client.destroy());
  });
  return { port: await listen(t, server), targets };
}

async function converse(client: Socket, { login, hosts, targets }: Required<Pick<ForwardProxyOptions, "hosts">> & { login: string | undefined; targets: string[] }): Promise<void> {
  const [version, count = 0] = await take(client, 2);
  if (version !== 5) return void client.end();
  const methods = [...(await take(client, count))];
  const method = login === undefined ? 0 : 2;
  if (!methods.includes(method)) return void client.end(Uint8Array.of(5, 0xff));
  client.write(Uint8Array.of(5, method));
  if (login !== undefined) {
    const [, userLength = 0] = await take(client, 2);
    const user = await take(client, userLength);
    const [passwordLength = 0] = await take(client, 1);
    const isRight = `${user}:${await take(client, passwordLength)}` === login;
    if (!isRight) return void client.end(Uint8Array.of(1, 1));
    client.write(Uint8Array.of(1, 0));
  }
  const [, , , type] = await take(client, 4);
  const length = type === 3 ? ((await take(client, 1))[0] as number) : type === 1 ? 4 : 16;
  const address = await take(client, length);
  const host = type === 3 ? address.toString() : type === 1 ? address.join(".") : `[${address.toString("hex")}]`;
  const port = (await take(client, 2)).readUInt16BE();
  targets.push(`${host}:${port}`);
  const reply = (code: number): Uint8Array => Uint8Array.of(5, code, 0, 1, 0, 0, 0, 0, 0, 0);
  passOn(client, hosts[host] ?? host, port, { opened: () => client.write(reply(0)), failed: () => client.end(reply(5)) });
}

/** The next bytes, exactly so many. */
function take(socket: Socket, count: number): Promise<Buffer> {
  if (count === 0) return Promise.resolve(Buffer.alloc(0));
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const bytes = socket.read(count) as Buffer | null;
      if (bytes === null && !socket.destroyed) return;
      socket.off("readable", look).off("close", look);
      if (bytes === null) reject(new Error("closed"));
      else resolve(bytes);
    };
    socket.on("readable", look).on("close", look);
    look();
  });
}

function passOn(client: Socket, host: string, port: number, handler: { opened(broker: Socket): void; failed(): void }): void {
  const broker = connect({ host, port });
  let isOpen = false;
  broker.on("connect", () => {
    isOpen = true;
    handler.opened(broker);
    client.pipe(broker).pipe(client);
  });
  broker.on("error", () => {
    if (!isOpen) handler.failed();
  });
  broker.on("close", () => client.destroySoon());
  client.on("close", () => broker.destroySoon());
}

async function listen(t: TestScope, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((ready) => server.listen({ host: "127.0.0.1", port: 0 }, ready));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
