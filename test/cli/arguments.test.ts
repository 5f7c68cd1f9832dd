import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readArguments, type CommandLine } from "../../src/cli/arguments.ts";
import { OPTIONS, type OptionName } from "../../src/cli/options.ts";

function read(...words: string[]): CommandLine {
  const line = readArguments(words);
  assert.ok("command" in line, JSON.stringify(line));
  return line;
}

function values(line: CommandLine): Record<string, readonly string[]> {
  return Object.fromEntries([...line.options].map(([name, option]) => [name, option.values]));
}

describe("readArguments keeps every value as it was typed", () => {
  const hard = ["007", "1e5", "0x10", "12345678901234567890", "true", "false", "-5", "-x", "=", "a=b", "\x01", "\x01x", " ", "null", "__proto__", "no-verify", "Infinity", "0", "--", "--nonsense", "日本"];
  for (const value of hard) {
    test(`--balance ${JSON.stringify(value)}`, () => {
      assert.deepEqual(values(read(`--balance=${value}`)), { balance: [value] });
      if (value !== "=" && value !== "a=b") assert.deepEqual(values(read(`-b${value}`)), { balance: [value] });
      if (value !== "--") assert.deepEqual(values(read("--balance", value)), { balance: [value] });
      if (value !== "--") assert.deepEqual(values(read("-b", value)), { balance: [value] });
      assert.deepEqual(read("--", value, "b").positionals, [value, "b"]);
    });
  }

  test("positionals are not numbers, also after a switch", () => {
    assert.deepEqual(read("--insecure", "0123", "1e3").positionals, ["0123", "1e3"]);
    assert.deepEqual(read("--insecure", "true").positionals, ["true"]);
    assert.deepEqual(values(read("--insecure", "true")), { insecure: [] });
  });

  test("a repeatable flag keeps its order, once or often", () => {
    assert.deepEqual(values(read("-l", ":1", "--listen=:2", "-l:3", "-l=:4")), { listen: [":1", ":2", ":3", ":4"] });
    assert.deepEqual(values(read("-l", ":1")), { listen: [":1"] });
  });

  test("short switches may be joined, the last with a value", () => {
    assert.deepEqual(values(read("-vl:1", "b")), { verbose: [], listen: [":1"] });
  });

  test("flags and positionals mix; the spelling is kept", () => {
    const line = read("a", "-t", "b", "c", "--log-level", "debug");
    assert.deepEqual(line.positionals, ["a", "c"]);
    assert.equal(line.options.get("to")?.spelling, "-t");
    assert.equal(line.options.get("log-level")?.spelling, "--log-level");
  });
});

describe("readArguments finds the command", () => {
  test("by the first positional, flags before it or not", () => {
    assert.equal(read().command, "run");
    assert.equal(read("broker").command, "run");
    assert.equal(read("-c", "f", "check").command, "check");
    assert.deepEqual(read("check", "f.toml").positionals, ["f.toml"]);
    assert.deepEqual(values(read("demo", "--for", "10s")), { for: ["10s"] });
    assert.deepEqual(["schema", "version"].map((word) => read(word).command), ["schema", "version"]);
  });

  test("help in front of a command, or alone, is its --help", () => {
    for (const [words, command] of [[["help"], "run"], [["help", "check"], "check"], [["help", "run"], "run"]] as const) {
      assert.deepEqual([read(...words).command, values(read(...words))], [command, { help: [] }]);
    }
    assert.deepEqual(read("--", "help").positionals, ["help"]);
  });

  test("a broker of a command's name: after --, with --to, or as a URL", () => {
    assert.deepEqual([read("--", "check").command, read("--", "check").positionals], ["run", ["check"]]);
    assert.equal(read("-t", "check").command, "run");
    assert.equal(read("mqtt://check").command, "run");
    assert.equal(read("--", "chek").command, "run");
  });
});

describe("readArguments refuses with exit 64 and a suggestion", () => {
  const refused: [words: string[], reason: RegExp, suggestion?: RegExp][] = [
    [["--lisen", ":1"], /^unknown option "--lisen"$/, /--listen/],
    [["--logLevel=debug"], /^unknown option "--logLevel"$/, /--log-level/],
    [["--no-insecure"], /^unknown option "--no-insecure"$/],
    [["--tls.cert", "f"], /unknown option "--tls\.cert"/],
    [["--__proto__=1"], /unknown option "--__proto__"/],
    [["-listen", ":1"], /unknown option "-listen"/, /--listen/],
    [["-p1883"], /unknown option "-p"/],
    [["-é"], /unknown option/],
    [["--\x1b[31mred"], /unknown option "--red"/],
    [["--listen"], /^needs a value: expected <url>$/],
    [["--listen="], /^needs a value.*got ""/],
    [["--listen", ""], /^needs a value/],
    [["--listen", "--to", "x"], /^needs a value/, /--listen=--to/],
    [["-l"], /^needs a value/],
    [["-c", "a", "--config", "b"], /^given twice/],
    [["--insecure=true"], /^takes no value, got "true"/],
    [["chek"], /unknown command "chek"/, /"sluice check"\? for a broker of that name write mqtt:\/\/chek/],
    [["help", "chek"], /no help on "chek"/, /"sluice help check"/],
    [["help", "10.0.0.5"], /no help on/, /"sluice help"/],
    [["verison"], /unknown command/, /"sluice version"/],
    [["deom", "--for", "5s"], /unknown command "deom"/, /"sluice demo"/],
    ...["run", "start", "serve"].map((word): [string[], RegExp, RegExp] => [[word, "mqtt://x"], new RegExp(`^unknown command "${word}"$`), new RegExp(`leave it out.*mqtt://${word}$`)]),
    [["demo", "--fro", "5s"], /unknown option "--fro"/, /--for/],
    [["demo", "--quite"], /unknown option "--quite"/, /"sluice --help"/],
    [["check", "--print-confi"], /unknown option "--print-confi"/, /--config|"sluice --help"/],
    [["b", "--for", "5s"], /^not an option of "sluice"$/, /"sluice demo"/],
    [["check", "--print-config"], /^not an option of "sluice check"/],
    [["check", "a", "b"], /cannot use "b": expected "sluice check/],
    [["schema", "x"], /cannot use "x": expected "sluice schema"/],
  ];
  for (const [words, reason, suggestion] of refused) {
    test(words.join(" "), () => {
      const problem = readArguments(words);
      assert.ok("reason" in problem, JSON.stringify(problem));
      assert.equal(problem.exit, 64);
      assert.match(problem.reason, reason);
      if (suggestion) assert.match(problem.suggestion ?? "", suggestion);
    });
  }

  test("a password is not shown with an unknown option", () => {
    assert.ok(!JSON.stringify(readArguments(["--passwrod=hunter2"])).includes("hunter2"));
  });

  test("brokers that only look like commands from afar are brokers", () => {
    for (const broker of ["broker", "localhost", "mosquitto", "emqx", "10.0.0.5", "check.example.com", "demo:1883", "nas", "demobroker"]) assert.equal(read(broker).command, "run", broker);
  });
});

test("every option of the table is read", () => {
  for (const option of OPTIONS) {
    const words = option.commands[0] === "run" ? [] : [option.commands[0]];
    const line = read(...words, ...("value" in option ? [`--${option.name}`, "x"] : [`--${option.name}`]));
    assert.deepEqual([...line.options.keys()], [option.name satisfies OptionName]);
  }
});
