import { COMMANDS, OPTIONS, type CommandName, type OptionSpec } from "./options.ts";
import { VERSION } from "./version.ts";

export function helpText(command: CommandName): string {
  const lines = [`sluice ${VERSION}: ${COMMANDS[command].help}`, "", `usage: sluice ${COMMANDS[command].usage}`];
  if (command === "run") {
    lines.push(...Object.values(COMMANDS).slice(1).map(({ usage }) => `       sluice ${usage}`));
    lines.push("", "commands:", ...columns(Object.entries(COMMANDS).slice(1).map(([name, { help }]) => [name, help])));
  }
  const options: readonly OptionSpec[] = OPTIONS.filter((option: OptionSpec) => option.commands.includes(command));
  lines.push("", "options:", ...columns(options.map((option) => [flagText(option), option.help])));
  if (command === "run") {
    lines.push("", "URLs are mqtt|mqtts://[user[:password]@]host[:port]; the ports are 1883 and 8883 unless given.", "");
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
