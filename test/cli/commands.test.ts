import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import { describe, test } from "node:test";
import { COMMANDS, OPTIONS, type OptionSpec } from "../../src/cli/options.ts";
import { VERSION } from "../../src/cli/version.ts";
import { until } from "../support/deadline.ts";
import { freePort } from "../support/ports.ts";
import { play } from "./fake_runtime.ts";

const TLS = resolve("test/fixtures/tls");
const tlsFlags = ["-l", "mqtts://:8883", "--cert", `${TLS}/self_signed.pem`, "--key", `${TLS}/self_signed.key`];

describe("sluice", () => {
  test("starts, waits for a signal, stops, exits 0", async () => {
    const { code, calls, options, out } = await play(["mqtt://10.0.0.5"]);
    assert.equal(code, 0);
    assert.deepEqual(calls, ["start", "probe", "stop"]);
    assert.equal(options?.configuration.pools[0]?.brokers[0]?.name, "10.0.0.5:1883");
    assert.deepEqual(out, []);
  });

  test("a second signal stops it at once; SIGHUP does nothing but say so", async () => {
    const { code, calls, error } = await play(["b"], {
      onStart: ({ signals }) => ["SIGHUP", "SIGTERM", "SIGINT"].forEach((signal) => signals.emit(signal)),
    });
    assert.equal(code, 0);
    assert.deepEqual(calls, ["start", "probe", "stop", "stopNow"]);
    assert.match(error.join("\n"), /"config.warning".*restart sluice/);
  });

  test("the banner, on a terminal: what accepts, where it goes, what answers, what to type", async () => {
    const { error } = await play(["b1", "b2", ...tlsFlags, "-b", "random", "--color", "never"], { terminal: true, down: ["b2:1883"] });
    const text = error.join("\n");
    assert.match(text, new RegExp(`^sluice ${VERSION} on node 0\n  accepts  mqtts://:8883 \\(every address\\) → pool default`));
    assert.match(text, /goes to  b1:1883  answers in 2 ms {2}pool default, random\n {11}b2:1883  does not answer: connection refused {2}pool default, random/);
    assert.match(text, /mosquitto_sub -h localhost -p 8883 --cafile .*self_signed\.pem -t 'try\/#' -v\n.*mosquitto_pub -h localhost -p 8883 --cafile/);
    assert.doesNotMatch(text, /broker\.down/, "said twice");
    assert.doesNotMatch(text, /\x1b/);
  });

  test("no banner elsewhere, nor with -q; a log line per listener instead", async () => {
    const piped = await play(["b1"], { down: ["b1:1883"] });
    assert.deepEqual(piped.error.map((line) => JSON.parse(line).event), ["listener.start", "broker.down"]);
    const quiet = await play(["b1", "-q"], { terminal: true, down: ["b1:1883"] });
    assert.deepEqual(quiet.error, []);
  });

  test("--insecure is warned of at every start, also with -q", async () => {
    const { error } = await play(["mqtts://b", "--insecure"]);
    assert.match(error[0] ?? "", /"level":"warn","event":"broker\.insecure"/);
    assert.match((await play(["mqtts://b", "--insecure", "-q"])).error.join("\n"), /^warning: the certificates .* are not verified/);
  });

  test("a runtime whose TLS has no back-pressure is warned of, by run and check, where TLS is used", async () => {
    for (const words of [["b", ...tlsFlags], ["mqtts://b"], ["check", "--to", "mqtts://b"]]) {
      assert.match((await play(words, { tlsBackPressure: false })).error.join("\n"), /TLS has no back-pressure/, words.join(" "));
      assert.doesNotMatch((await play(words)).error.join("\n"), /back-pressure/);
    }
    assert.doesNotMatch((await play(["b"], { tlsBackPressure: false })).error.join("\n"), /back-pressure/);
  });

  test("passwords reach neither banner nor log", async () => {
    const { error, options } = await play(["mqtt://u:secret@b"], { terminal: true, down: ["b:1883"] });
    assert.equal(options?.configuration.pools[0]?.brokers[0]?.password, "secret");
    assert.doesNotMatch(error.join("\n"), /secret/);
  });

  test("an address that cannot be had is exit 71 with place and suggestion, and no log before", async () => {
    const cases = [["address_in_use", /another program has it\n.*ss -ltnp/], ["denied", /permission denied\n.*1024/], ["other", /their own words$/]] as const;
    for (const [errorCode, text] of cases) {
      const { code, error, calls } = await play(["b", "-l", ":80"], {
        startFailure: { listener: "mqtt://:80", address: ":80", error: { code: errorCode, message: "their own words" } },
      });
      assert.equal(code, 71);
      assert.deepEqual(calls, ["start"]);
      assert.match(error.join("\n"), /^error: -l: cannot listen on ":80": /);
      assert.match(error.join("\n"), text);
    }
  });

  test("files of the configuration: missing is 66, wrong is 78, at the flag's place; nothing started", async () => {
    const missing = await play(["b", "-l", "mqtts://:1", "--cert", "none.pem", "--key", `${TLS}/server.key`]);
    assert.equal(missing.code, 66);
    assert.match(missing.error[0] ?? "", /^error: --cert: cannot read ".*none\.pem"/);
    const mismatched = await play(["b", "-l", "mqtts://:1", "--cert", `${TLS}/server.pem`, "--key", `${TLS}/other.key`]);
    assert.equal(mismatched.code, 78);
    assert.match(mismatched.error[0] ?? "", /^error: --key: the key .* does not fit/);
    assert.deepEqual([...missing.calls, ...mismatched.calls], []);
  });
});

describe("sluice check", () => {
  const good = { "s.toml": '[pools.default]\nbrokers = ["a", "b"]\n' };

  test("ok on stdout when all is well; a broker that is down is a warning", async () => {
    const { code, out, error, calls } = await play(["check", "s.toml"], { files: good, down: ["b:1883"] });
    assert.equal(code, 0);
    assert.deepEqual(out, ["ok"]);
    assert.match(error.join("\n"), /a:1883 in pool "default" answers in 2 ms\nwarning: b:1883 in pool "default" does not answer/);
    assert.deepEqual(calls, ["close", "probe"]);
  });

  test("takes the flags of run", async () => {
    const { code, contexts } = await play(["check", "--to", "b", ...tlsFlags]);
    assert.equal(code, 0);
    assert.match(contexts[0]?.cert ?? "", /CERTIFICATE/);
  });

  test("every listener is open until all are, as with run: two of one address are found out", async () => {
    const open = new Set<number>();
    const listen = ({ port }: { port: number }) => (open.size === open.add(port).size ? ({ code: "address_in_use", message: "" } as const) : undefined);
    const { code, error, out } = await play(["check", "--to", "b", "-l", "mqtt://localhost:18870", "-l", "mqtt://:18870"], { listen });
    assert.equal(code, 71);
    assert.deepEqual(out, []);
    assert.match(error.join("\n"), /^error: -l: cannot listen on ":18870": the listener "mqtt:\/\/localhost:18870" of this configuration has it\n +remove one/);
  });

  test("an address that is taken is exit 71 at its place", async () => {
    const files = { "s.toml": 'pools.default.brokers = ["a"]\n[[listeners]]\nlisten = ":1"\n[[listeners]]\nlisten = ":2"\n' };
    const { code, out, error } = await play(["check", "s.toml"], { files, listen: ({ port }) => (port === 2 ? { code: "address_in_use", message: "" } : undefined) });
    assert.equal(code, 71);
    assert.deepEqual(out, []);
    assert.match(error[0] ?? "", /^error: s\.toml:5:1: cannot listen on ":2": another program has it/);
    assert.match(error[1] ?? "", /^ +as it should be if that is sluice itself, running; otherwise stop that program/);
  });

  test("a unix socket that cannot be had: no word of ports", async () => {
    const cases = [
      ["address_in_use", "the address is already in use", /another program has it\n.*ss -lxp.*another path/],
      ["address_in_use", "there is a file that is not a socket", /: there is a file that is not a socket\n +remove it, or listen on another path/],
      ["denied", "permission denied", /permission denied\n.*directory/],
      ["refused", "no such file or directory", /no such file or directory$/],
    ] as const;
    for (const [code, words, text] of cases) {
      const played = await play(["check", "--to", "b", "-l", "unix:///run/s.sock"], { listen: () => ({ code, message: `listen on unix:/run/s.sock: ${words}` }) });
      assert.equal(played.code, 71);
      const said = played.error.filter((line) => !line.includes("in pool")).join("\n");
      assert.match(said, text);
      assert.doesNotMatch(said, /port|1024/);
    }
  });

  test("brokers that begin in drain or maint are shown as such, answer or not: by check, the banner and the log", async () => {
    const files = { "s.toml": '[pools.default]\nbrokers = [{ url = "a", state = "drain" }, { url = "b", state = "maint" }]\n[[listeners]]\nlisten = ":1"\n' };
    const checked = await play(["check", "s.toml"], { files, down: ["b:1883"] });
    assert.equal(checked.code, 0);
    assert.deepEqual(checked.error, ['a:1883 in pool "default" begins in drain; it answers', 'b:1883 in pool "default" begins in maint; it does not answer: connection refused']);
    const { error } = await play(["-c", "s.toml", "--color", "never"], { files, terminal: true, down: ["b:1883"] });
    assert.match(error.join("\n"), /a:1883  drain: no new clients  pool default.*\n.*b:1883  maint: no clients  pool default/);
    const piped = await play(["-c", "s.toml"], { files, down: ["b:1883"] });
    assert.deepEqual(piped.error.map((line) => JSON.parse(line)).map(({ level, event, state }) => [level, event, state]).slice(1), [["info", "broker.state", "drain"], ["info", "broker.state", "maint"]]);
  });

  test("a broker where a file belongs is told where it belongs", async () => {
    const { code, error } = await play(["check", "10.0.0.5"]);
    assert.equal(code, 66);
    assert.match(error.join("\n"), /^error: 10\.0\.0\.5: cannot read the configuration: no such file\n +for a broker write --to 10\.0\.0\.5$/);
    assert.doesNotMatch((await play(["check", "none.toml"])).error.join("\n"), /--to/);
  });

  test("authorities that SSL_CERT_FILE names and nobody can read are exit 66, where brokers are verified against them", async () => {
    const variables = { SSL_CERT_FILE: "nowhere.pem" };
    const { code, error } = await play(["check", "--to", "mqtts://b"], { variables });
    assert.equal(code, 66);
    assert.match(error[0] ?? "", /^error: SSL_CERT_FILE: cannot read "nowhere\.pem": no such file/);
    for (const words of [["--to", "mqtt://b"], ["--to", "mqtts://b", "--ca", `${TLS}/server.pem`], ["--to", "mqtts://b", "--insecure"]]) {
      assert.equal((await play(["check", ...words], { variables })).code, 0, words.join(" "));
    }
  });

  test("a wrong file is exit 78, a missing one 66, none at all 64, two 64", async () => {
    assert.equal((await play(["check", "s.toml"], { files: { "s.toml": "x = 1" } })).code, 78);
    assert.equal((await play(["check", "none.toml"])).code, 66);
    assert.match((await play(["check"])).error.join("\n"), /nothing to check.*\n.*sluice check sluice\.toml/);
    assert.equal((await play(["check", "s.toml", "-c", "s.toml"], { files: good })).code, 64);
  });

  test("services of authentication that do not answer are warned of, by check and in the log; any answer is one", async (t) => {
    const service = createServer((request, response) => void response.writeHead(request.method === "HEAD" ? 404 : 500).end());
    await new Promise<void>((ready) => service.listen({ host: "127.0.0.1", port: 0 }, ready));
    t.after(() => void service.close());
    const [up, down] = [(service.address() as AddressInfo).port, await freePort()];
    const toml = (port: number) => `pools.default.brokers = ["a"]\n[[authentication.checks]]\ntype = "jwt"\nkeys_url = "http://127.0.0.1:${up}/keys"\n[[authentication.checks]]\ntype = "http"\nurl = "http://127.0.0.1:${port}/secret"\n`;
    const files = { "up.toml": toml(up), "down.toml": toml(down) };
    const silent = await play(["check", "down.toml"], { files });
    assert.deepEqual([silent.code, silent.out], [0, ["ok"]]);
    assert.match(silent.error.at(-1) ?? "", new RegExp(`^warning: 127\\.0\\.0\\.1:${down}, which authentication\\.checks\\[1\\] asks, does not answer: it cannot be reached`));
    assert.doesNotMatch(silent.error.join(), /secret/);
    assert.doesNotMatch((await play(["check", "up.toml"], { files })).error.join("\n"), /warning/);
    const run = await play(["-c", "down.toml"], { files, onStart: async ({ error, signals }) => {
      await until(() => error.some((line) => line.includes('"service.down"')), 5_000, "the warning");
      signals.emit("SIGTERM");
      signals.emit("SIGTERM");
    } });
    assert.equal(run.code, 0);
  });

  test("expired certificates are warned of; once it runs, by who opens them", async () => {
    const words = ["--to", "b", "-l", "mqtts://:1", "--cert", `${TLS}/expired.pem`, "--key", `${TLS}/expired.key`];
    assert.doesNotMatch((await play(words)).error.join("\n"), /config\.warning/);
    const { code, error } = await play(["check", ...words]);
    assert.equal(code, 0);
    assert.match(error[0] ?? "", /^warning: the certificate in ".*expired\.pem" expired on/);
  });
});

describe("the small commands", () => {
  test("version, in both spellings, is package.json's", async () => {
    assert.equal(VERSION, JSON.parse(await readFile("package.json", "utf8")).version);
    for (const words of [["version"], ["--version"]]) assert.deepEqual((await play(words)).out, [`sluice ${VERSION} (node 0)`]);
  });

  test("schema prints JSON", async () => {
    const { out, code } = await play(["schema"]);
    assert.equal(code, 0);
    assert.equal(JSON.parse(out.join("\n")).title, "sluice");
  });

  test("help of each command names its options and no others, on stdout", async () => {
    for (const command of Object.keys(COMMANDS)) {
      const { out, error, code } = await play(command === "run" ? ["-h"] : [command, "--help"]);
      assert.equal(code, 0);
      assert.deepEqual(error, []);
      for (const { name, commands } of OPTIONS as readonly OptionSpec[]) {
        assert.equal(new RegExp(`--${name}\\b`).test(out.join("\n").split("URLs are")[0] ?? ""), commands.includes(command as never) || (name === "config" && /print-config/.test(out.join())), `${command} --${name}`);
      }
      for (const line of out.join("\n").split("\n")) assert.ok(line.length <= 100, line);
    }
  });

  test("demo refuses a duration that is none", async () => {
    const { code, error } = await play(["demo", "--for", "10"]);
    assert.equal(code, 64);
    assert.match(error[0] ?? "", /^error: --for: cannot use "10" as a duration: expected one with its unit/);
    assert.match(error[1] ?? "", /^ +write 10s for seconds$/);
  });

  test("SLUICE_RUNTIME takes net and refuses what it does not know", async () => {
    assert.equal((await play(["version"], { variables: { SLUICE_RUNTIME: "net" } })).code, 0);
    assert.equal((await play(["version"], { variables: { SLUICE_RUNTIME: "" } })).code, 0);
    const { code, error } = await play(["mqtt://b"], { variables: { SLUICE_RUNTIME: "nte" } });
    assert.equal(code, 64);
    assert.match(error[0] ?? "", /^error: SLUICE_RUNTIME: cannot use "nte" as a runtime: expected "net"/);
  });

  test("errors are coloured on a terminal only", async () => {
    assert.match((await play(["--nope"], { terminal: true })).error[0] ?? "", /^\x1b\[31merror:/);
    assert.match((await play(["--nope"])).error[0] ?? "", /^error:/);
  });
});
