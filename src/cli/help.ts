import { SUBCOMMANDS } from "./cert/subcommands.ts";
import { COMMANDS, OPTIONS, type CommandName, type OptionSpec } from "./options.ts";
import { VERSION } from "./version.ts";

export function helpText(command: CommandName): string {
  const lines = [`sluice ${VERSION}: ${COMMANDS[command].help}`, "", `usage: sluice ${COMMANDS[command].usage}`];
  if (command === "run") {
    lines.push(...Object.values(COMMANDS).slice(1).map(({ usage }) => `       sluice ${usage}`));
    lines.push("", "commands:", ...columns(Object.entries(COMMANDS).slice(1).map(([name, { help }]) => [name, help])));
  }
  if (command === "cert") {
    const subcommands = Object.values(SUBCOMMANDS);
    lines.push(...subcommands.map(({ usage }) => `       sluice cert ${usage}`));
    lines.push("", "commands:", ...columns(Object.entries(SUBCOMMANDS).map(([name, { help }]) => [name, help])));
  }
  const options: readonly OptionSpec[] = OPTIONS.filter((option: OptionSpec) => option.commands.includes(command));
  lines.push("", "options:", ...columns(options.map((option) => [flagText(option), option.helpFor?.[command] ?? option.help])));
  if (command === "cert") {
    lines.push("", 'This host\'s own CA is that of tls = "auto": it lies in the state directory and is made if missing.');
    lines.push("Files are PEM, keys are EC P-256, and only their owner can read them.", "");
    lines.push("  sluice cert server gateway.local 10.0.0.5", "  sluice cert client sensor-1 --out sensor-1", "  sluice cert inspect sensor-1/sensor-1.pem");
  }
  if (command === "passwd") {
    lines.push("", "The password is asked for, or read from standard input: as an argument everybody could see it.");
    lines.push("The files are those of mosquitto and mosquitto_passwd.", "");
    lines.push("  sluice passwd --create passwords sensor-1", "  openssl rand -base64 24 | tee sensor-2.secret | sluice passwd passwords sensor-2", "  sluice passwd --delete passwords sensor-1");
  }
  if (command === "run") {
    lines.push("", "URLs are mqtt, mqtts, ws or wss://[user[:password]@]host[:port][/path], or unix:///path;", "any:// listens for all of them. Ports unless given: 1883, 8883, 80, 443; any 8883.", "");
    lines.push("  sluice 10.0.0.5", "  sluice --listen mqtts://:8883 --cert cert.pem --key key.pem broker-a broker-b", "  sluice --config sluice.toml");
  }
  return lines.join("\n");
}

function flagText({ name, short, value }: OptionSpec): string {
  return `${short === undefined ? "    " : `-${short}, `}--${name}${value === undefined ? "" : ` <${value}>`}`;
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
