/** A forward proxy. */
export interface Via {
  readonly scheme: "http" | "socks5";
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** Undefined: the proxy is not told who we are. */
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** Where the proxy shall connect to: a name, which the proxy resolves, or an address without brackets. */
export interface Target {
  readonly host: string;
  readonly port: number;
}

/** What to do now; undefined: wait for more bytes. After `done` and `refused` nothing more is pushed. */
export type EgressStep =
  | undefined
  | { readonly send: Uint8Array }
  /** The way to the target is open; `rest` is what the target said already. */
  | { readonly done: true; readonly rest: Uint8Array }
  /** In plain words, without credentials and without a byte of what was sent. */
  | { readonly refused: string };

/** Our side of asking a forward proxy for a connection, without the connection to it. */
export interface Egress {
  /** What is sent first, as soon as the proxy is connected. */
  first(): Uint8Array;
  push(chunk: Uint8Array): EgressStep;
}
