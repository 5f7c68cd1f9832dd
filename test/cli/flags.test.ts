import assert from "node:assert/strict";
import { resolve } from "node:path";
import { describe, test } from "node:test";
import { play } from "./fake_runtime.ts";

const FILE = `[log]
level = "warn"

[limits]
dial_timeout = "1s"

[[listeners]]
name = "front"
listen = "mqtts://:8883"
tls = { cert = "own.pem", key = "own.key" }

[pools.default]
balance = "random"
brokers = ["mqtts://a", { url = "mqtts://u@b", weight = 3, password_file = "p.txt" }]
tls.ca = "ca.pem"
`;
const files = { "etc/sluice.toml": FILE };

/** Prints the configuration of a command line. */
async function printed(...words: string[]): Promise<string> {
  const { code, out, error } = await play([...words, "--print-config"], { files });
  assert.equal(code, 0, error.join("\n"));
  assert.deepEqual(error, []);
  return out.join("\n");
}

async function problemOf(...words: string[]): Promise<{ code: number; text: string }> {
  const { code, error, out } = await play([...words, "--print-config"], { files });
  assert.deepEqual(out, []);
  return { code, text: error.join("\n") };
}

describe("--print-config", () => {
  const lines: [name: string, ...words: string[]][] = [
    ["one broker", "10.0.0.5"],
    ["brokers in both ways", "b1", "--to", "mqtt://b2", "-t", "[::1]:9"],
    ["TLS on both sides", "-l", "mqtts://:8883", "--cert", "c.pem", "--key=k.pem", "--ca", "ca.pem", "mqtts://user:p%40ss@b"],
    ["every kind of listener", "-l", ":1", "-l", "mqtts://[::1]:2", "-l", "mqtt://localhost:3", "--cert", "/c.pem", "--key", "/k.pem", "b"],
    ["the rest of the flags", "b", "-b", "client_id", "--log-level", "debug", "--log-format", "json", "--color", "never"],
    ["quiet and insecure", "mqtts://b", "-q", "--insecure"],
    ["verbose", "b", "-v"],
    ["a file", "-c", "etc/sluice.toml"],
    ["a file under every flag", "-c", "etc/sluice.toml", "-l", "mqtts://:1", "--cert", "c", "--key", "k", "-b", "random", "--ca", "other.pem", "mqtts://x", "-q"],
    ["values that TOML must escape", "b", "-l", "mqtts://:1", "--cert", 'a"b\\c\n', "--key", "ключ"],
  ];
  for (const [name, ...words] of lines) {
    test(`is a fix-point: ${name}`, async () => {
      const first = await printed(...words);
      const again = await play(["--config", "elsewhere/printed.toml", "--print-config"], { files: { "elsewhere/printed.toml": first } });
      assert.equal(again.out.join("\n"), first, again.error.join("\n"));
    });
  }

  test("equals the command line: the same configuration reaches the server", async () => {
    const words = ["b1", "-t", "u:w@b2:7", "-l", ":1", "-l", "mqtt://[::1]:2", "-b", "least_connections", "-v", "--log-format", "json"];
    const direct = await play(words);
    const fromFile = await play(["-c", "p.toml"], { files: { "p.toml": await printed(...words) } });
    assert.equal(direct.code, 0);
    assert.deepEqual(fromFile.options?.configuration, direct.options?.configuration);
  });

  test("keeps files where they were meant", async () => {
    const text = await printed("-c", "etc/sluice.toml", "--ca", "flag.pem");
    for (const file of ["etc/own.pem", "etc/own.key", "etc/p.txt", "flag.pem"]) assert.ok(text.includes(JSON.stringify(resolve(file))), `${file} in\n${text}`);
  });

  test("says the default listener", async () => {
    assert.equal(await printed("b"), '[[listeners]]\nlisten = "mqtt://:1883"\n\n[pools.default]\nbrokers = [ "b" ]');
  });
});

describe("a flag wins over its key", () => {
  const cases: [words: string[], present: RegExp, absent?: RegExp][] = [
    [["--listen", "mqtt://:9"], /listen = "mqtt:\/\/:9"/, /8883|front/],
    [["--to", "mqtts://x"], /brokers = \[ "mqtts:\/\/x" \]/, /"mqtts:\/\/a"/],
    [["mqtts://x"], /"mqtts:\/\/x"/, /weight/],
    [["--balance", "client_id"], /balance = "client_id"/, /random/],
    [["--cert", "new.pem"], /new\.pem.*own\.key|own\.key[^]*new\.pem|new\.pem[^]*own\.key/, /own\.pem/],
    [["--ca", "new.pem"], /ca = ".*new\.pem"/, /etc.ca\.pem/],
    [["--insecure"], /insecure = true/],
    [["--log-level", "debug"], /level = "debug"/, /warn/],
    [["-q"], /level = "error"/, /warn/],
  ];
  for (const [words, present, absent] of cases) {
    test(words.join(" "), async () => {
      const text = await printed("-c", "etc/sluice.toml", ...words);
      assert.match(text, present);
      if (absent) assert.doesNotMatch(text, absent);
      assert.match(text, /dial_timeout = "1s"/);
    });
  }

  test("of several pools without a default one, none: said at the flag", async () => {
    const toml = '[[listeners]]\nlisten = ":1"\npool = "a"\n[pools.a]\nbrokers = ["mqtts://a"]\n[pools.b]\nbrokers = ["mqtts://b"]\n';
    for (const words of [["-b", "random"], ["--ca", "ca.pem"], ["--insecure"]]) {
      const { code, error } = await play(["-c", "two.toml", ...words, "--print-config"], { files: { "two.toml": toml } });
      assert.equal(code, 64);
      assert.equal(error.length, 2, error.join("\n"));
      assert.match(error[0] ?? "", new RegExp(`^error: ${words[0]}: .*several pools \\(a, b\\), and none is called "default"`));
      assert.match(error[1] ?? "", /\[pools\.a\]/);
    }
    const named = await play(["-c", "two.toml", "-b", "random", "--to", "c"], { files: { "two.toml": toml } });
    assert.deepEqual(named.options?.configuration.pools.map(({ name, balance }) => [name, balance]), [["a", "round_robin"], ["b", "round_robin"], ["default", "random"]]);
  });

  test("the only pool takes the flags, whatever its name", async () => {
    const { options } = await play(["-c", "f.toml", "--to", "x"], { files: { "f.toml": '[pools.factory]\nbalance = "random"\nbrokers = ["a"]\n' } });
    assert.deepEqual(options?.configuration.pools.map(({ name, balance, brokers }) => [name, balance, brokers.map((broker) => broker.name)]), [["factory", "random", ["x:1883"]]]);
  });
});

describe("what flags may not say", () => {
  const refused: [words: string[], code: number, text: RegExp][] = [
    [[], 64, /command line: no broker.*\n.*sluice mqtt:\/\/10\.0\.0\.5/],
    [["b", "-l", "amqp://:1"], 64, /error: -l: cannot use "amqp:\/\/:1" as listeners\[0\]\.listen: expected mqtt:\/\/, mqtts:\/\//],
    [["b", "-l", "mqtts://:1"], 64, /-l: listener "mqtts:\/\/:1" has no certificate/],
    [["b", "--cert", "c", "--key", "k"], 64, /--cert: --cert has no effect: expected an mqtts:\/\/, wss:\/\/ or any:\/\/ listener/],
    [["b", "-l", "mqtts://:1", "--cert", "c"], 64, /--cert: .* without --key\n +add --key <file>/],
    [["b", "-l", "mqtts://:1", "--key", "k"], 64, /--key: .* without --cert\n +add --cert <file>/],
    [["b", "--insecure"], 64, /--insecure: pools\.default\.tls has no effect/],
    [["b", "--balance", "round-robin"], 64, /--balance: cannot use "round-robin".*\n.*"round_robin"/],
    [["b", "--log-level", "inof"], 64, /--log-level: cannot use "inof"/],
    [["b", "--color", "yes"], 64, /--color: cannot use "yes"/],
    [["b", "-q", "-v"], 64, /-q and -v contradict/],
    [["b", "-v", "--log-level", "info"], 64, /-v and --log-level contradict/],
    [["u:secret@b/path"], 64, /command line: cannot use "u:\*\*\*@b\/path" as pools\.default\.brokers\[0\]/],
    [["b", "b:1883"], 64, /command line: broker "b:1883" is in pools\.default twice/],
    [["-c", "none.toml"], 66, /error: none\.toml: cannot read the configuration: no such file/],
    [["-c", "etc/sluice.toml", "-l", ":1", "-l", ":1"], 64, /-l: address ":1" is used by two listeners/],
  ];
  for (const [words, code, text] of refused) {
    test(words.join(" ") || "(nothing)", async () => {
      const problem = await problemOf(...words);
      assert.match(problem.text, text);
      assert.equal(problem.code, code);
      assert.doesNotMatch(problem.text, /secret|\n\s+at /);
    });
  }

  test("a file's own problems keep their place and 78, the first decides", async () => {
    const broken = { "f.toml": '[pools.default]\nbrokers = ["x"]\nbalance = 5\n' };
    const { code, error } = await play(["-c", "f.toml", "--log-level", "loud"], { files: broken });
    assert.match(error.join("\n"), /--log-level: cannot use "loud"/);
    assert.match(error.join("\n"), /f\.toml:3:1: cannot use 5 as pools\.default\.balance/);
    assert.equal(code, 64);
  });

  test("flags cannot hide a section that is no table", async () => {
    const { code, error } = await play(["-c", "f.toml", "-q"], { files: { "f.toml": 'log = 3\n[pools.default]\nbrokers = ["x"]\n' } });
    assert.equal(code, 78);
    assert.match(error.join("\n"), /f\.toml:1:1: cannot use 3 as log: expected a table/);
  });
});
