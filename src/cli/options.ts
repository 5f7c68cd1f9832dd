export const COMMANDS = {
  run: { usage: "[options] [broker ...]", help: "the proxy; a broker is a URL or host[:port]", positionalsMax: Infinity },
  check: { usage: "check [options] [file]", help: "check everything the proxy would need, without starting", positionalsMax: 1 },
  cert: { usage: "cert <ca|server|client|inspect> [options] [name|file ...]", help: "make certificates for servers and devices, and show them", positionalsMax: Infinity },
  passwd: { usage: "passwd [options] <file> <user>", help: "add, change or remove a user in a password file", positionalsMax: Infinity },
  route: { usage: "route [options] [file]", help: "say where a client would go, and which rule decides", positionalsMax: 1 },
  schema: { usage: "schema", help: "print the JSON Schema of the TOML file", positionalsMax: 0 },
  demo: { usage: "demo [options]", help: "see it work: two brokers, the proxy and devices, all in one process", positionalsMax: 0 },
  version: { usage: "version", help: "print the version", positionalsMax: 0 },
} as const;

export type CommandName = keyof typeof COMMANDS;

/** One flag. This table feeds the parser, the help and the overlay: there is no other list of flags. */
export interface OptionSpec {
  readonly name: string;
  /** Two commands may have the same one for different flags. */
  readonly short?: string;
  /** What the help calls the value; absent: a switch. */
  readonly value?: string;
  readonly repeatable?: true;
  readonly commands: readonly CommandName[];
  readonly help: string;
  /** What it is to one command, when that is not what it is to the others. */
  readonly helpFor?: { readonly [Name in CommandName]?: string };
}

const running = ["run", "check", "route"] as const;
const talking = ["run", "check", "route", "cert", "passwd", "demo"] as const;
const every = ["run", "check", "route", "cert", "passwd", "schema", "demo", "version"] as const;

export const OPTIONS = [
  { name: "listen", short: "l", value: "url", repeatable: true, commands: running, help: "accept clients here, repeatable (default mqtt://:1883)" },
  { name: "to", short: "t", value: "url", repeatable: true, commands: running, help: "a broker, repeatable (the same as a positional one)" },
  { name: "balance", short: "b", value: "name", commands: running, help: "round_robin|least_connections|random|client_id|username|address|first" },
  { name: "cert", value: "file", commands: running, help: "certificate for mqtts://, wss:// and any:// listeners, PEM" },
  { name: "key", value: "file", commands: running, help: "its private key" },
  { name: "tls", value: "how", commands: running, help: "auto: make a certificate for this host; passthrough: the brokers do TLS" },
  { name: "client-ca", value: "file", commands: running, help: "let in only clients with a certificate of this CA" },
  { name: "trust-proxy", value: "net", repeatable: true, commands: running, help: "clients come through proxies here, which send a PROXY header" },
  {
    name: "ca", value: "file", commands: [...running, "cert"],
    help: "trust this CA for brokers over TLS (default: the system's)",
    helpFor: { cert: "server, client: sign with this CA (default: this host's own)" },
  },
  { name: "broker-cert", value: "file", commands: running, help: "our own certificate, for brokers that ask for one" },
  { name: "broker-key", value: "file", commands: running, help: "its private key" },
  { name: "send-proxy", value: "v1|v2", commands: running, help: "tell brokers who the client is by a PROXY header" },
  { name: "via", value: "url", commands: running, help: "reach brokers through this proxy: http://host:port, socks5://host" },
  { name: "insecure", commands: running, help: "do not verify the certificates of brokers" },
  { name: "config", short: "c", value: "file", commands: running, help: "TOML file under the flags: a flag wins over its key" },
  { name: "print-config", commands: ["run"], help: "print the TOML that equals this command line, and exit" },
  { name: "log-level", value: "level", commands: running, help: "debug | info | warn | error" },
  { name: "log-format", value: "format", commands: running, help: "auto | pretty | json" },
  { name: "color", value: "when", commands: talking, help: "auto | always | never" },
  { name: "quiet", short: "q", commands: running, help: "errors only, and no banner" },
  { name: "verbose", short: "v", commands: running, help: "the same as --log-level debug" },
  { name: "for", value: "duration", commands: ["demo"], help: 'end by itself after so long, such as "10s"' },
  { name: "out", short: "o", value: "dir", commands: ["cert"], help: "write the files here (default: the current directory)" },
  { name: "name", value: "text", commands: ["cert"], help: "ca: what the authority is called" },
  { name: "days", value: "n", commands: ["cert"], help: "how long it is good (default: ca 3650, server 365, client 730)" },
  { name: "force", commands: ["cert"], help: "overwrite files that are there" },
  { name: "create", short: "c", commands: ["passwd"], help: "begin a new file" },
  { name: "delete", short: "D", commands: ["passwd"], help: "remove the user" },
  { name: "hash", short: "H", value: "name", commands: ["passwd"], help: "sha512-pbkdf2 (default) | argon2id, which mosquitto reads since 2.1" },
  { name: "iterations", short: "I", value: "n", commands: ["passwd"], help: "rounds of sha512-pbkdf2: how long a check takes (default 10000)" },
  { name: "listener", value: "name", commands: ["route"], help: "the client comes in there (default: the first listener)" },
  { name: "client-id", value: "text", commands: ["route"], help: "its client identifier" },
  { name: "username", value: "text", commands: ["route"], help: "its user name" },
  { name: "address", value: "ip", commands: ["route"], help: "its address (default 127.0.0.1)" },
  { name: "mqtt", value: "version", commands: ["route"], help: "3.1, 3.1.1 or 5 (default 5)" },
  { name: "sni", value: "name", commands: ["route"], help: "the server name that it asks TLS for" },
  { name: "alpn", value: "name", commands: ["route"], help: "the protocol that TLS agreed on" },
  { name: "common-name", value: "text", commands: ["route"], help: "of its certificate" },
  { name: "san", value: "text", repeatable: true, commands: ["route"], help: "of its certificate, repeatable" },
  { name: "user-property", value: "n=v", repeatable: true, commands: ["route"], help: "of its CONNECT, repeatable" },
  { name: "json", commands: ["route"], help: "one JSON object instead of lines" },
  { name: "help", short: "h", commands: every, help: "show this" },
  { name: "version", commands: ["run"], help: "print the version" },
] as const satisfies readonly OptionSpec[];

export type OptionName = (typeof OPTIONS)[number]["name"];
