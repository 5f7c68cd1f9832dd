import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createLog, type LogSettings, type LogSystem } from "../../src/observe/log.ts";

const NOON = Date.UTC(2026, 0, 2, 12, 4, 31, 5);

function setUp(settings: Partial<LogSettings> = {}, system: Partial<LogSystem> & { variables?: Record<string, string> } = {}) {
  const lines: string[] = [];
  const clock = { now: 0 };
  const log = createLog({ level: "info", format: "json", color: "auto", ...settings }, {
    writeError: (line) => void lines.push(line),
    errorIsTerminal: false,
    env: (name) => system.variables?.[name],
    now: () => clock.now,
    wallClock: () => NOON + clock.now,
    ...system,
  });
  return { log, lines, clock };
}

describe("createLog, JSON", () => {
  test("one object per line: time, level, event, msg, then the fields", () => {
    const { log, lines } = setUp();
    log.info("client.open", "sensor-7 is here", { "client.id": "sensor-7", "client.port": 51_234, tls: false, broker: undefined });
    assert.equal(lines[0], '{"time":"2026-01-02T12:04:31.005Z","level":"info","event":"client.open","msg":"sensor-7 is here","client.id":"sensor-7","client.port":51234,"tls":false}');
  });

  test("text from clients cannot forge a line or reach a terminal", () => {
    const { log, lines } = setUp({ color: "always" });
    const hostile = '\x1b[2J\n{"level":"error"}\u2028\u202e\0';
    log.warn("client.reject", hostile, { "client.id": hostile });
    assert.equal(lines.length, 1);
    assert.doesNotMatch(lines[0]!, /[\x00-\x1f\u2028\u202e]|\\u00|\\n/);
    assert.deepEqual(Object.keys(JSON.parse(lines[0]!)), ["time", "level", "event", "msg", "client.id"]);
  });

  test("a field is 256 characters at most", () => {
    const { log, lines } = setUp();
    log.info("client.open", "m".repeat(70_000), { "client.id": "x".repeat(70_000) });
    assert.ok(lines[0]!.length < 1_000);
  });
});

describe("createLog, levels", () => {
  test("what is below the level costs no line, and isOn says so", () => {
    const { log, lines } = setUp({ level: "warn" });
    log.debug("client.open", "d");
    log.info("client.open", "i");
    log.warn("client.open", "w");
    log.error("client.open", "e");
    assert.deepEqual(lines.map((line) => JSON.parse(line).level), ["warn", "error"]);
    assert.deepEqual((["debug", "info", "warn", "error"] as const).map((level) => log.isOn(level)), [false, false, true, true]);
  });

  test("the environment has no say in the level", () => {
    const { log, lines } = setUp({ level: "info" }, { variables: { CONSOLA_LEVEL: "0", TEST: "1", CI: "1", DEBUG: "1" } });
    log.info("client.open", "i");
    log.debug("client.open", "d");
    assert.equal(lines.length, 1);
  });

  test("identical lines are all written, at once", () => {
    const { log, lines } = setUp();
    for (let i = 0; i < 50; i++) log.info("client.close", "same");
    assert.equal(lines.length, 50);
  });
});

describe("createLog, pretty", () => {
  test("event, message, then the fields that the message does not say", () => {
    const { log, lines } = setUp({ format: "pretty" });
    log.info("client.open", "sensor-7 from 10.0.0.9:51234 → 10.0.0.5:1883 (MQTT 5)", {
      "client.id": "sensor-7", "client.address": "10.0.0.9", "client.port": 51_234, "mqtt.version": 5, broker: "10.0.0.5:1883", listener: "front door", bytes_in: 5,
    });
    assert.match(lines[0]!, /^\d\d:04:31 client\.open  sensor-7 from 10\.0\.0\.9:51234 → 10\.0\.0\.5:1883 \(MQTT 5\)  listener="front door" bytes_in=5$/);
  });

  test("a value that stands in the message by chance is not lost", () => {
    const { log, lines } = setUp({ format: "pretty" });
    const fields = { "client.id": "sensor-7", "client.address": "10.3.1.1", "client.port": 51_234, pool: "e", reason: "closed" };
    log.info("client.close", "sensor-7 from 10.3.1.1:51234: the client closed in 5 s", { ...fields, "mqtt.version": "5" });
    log.info("client.close", "sensor-7 from 10.3.1.1:51234: the client closed", { ...fields, "mqtt.version": "3.1" });
    assert.match(lines[0]!, /in 5 s  pool=e reason=closed mqtt\.version=5$/);
    assert.match(lines[1]!, /closed  pool=e reason=closed mqtt\.version=3\.1$/);
  });

  test("warnings and errors say what they are, also without colours", () => {
    const { log, lines } = setUp({ format: "pretty" });
    log.warn("broker.down", "b");
    log.error("internal.error", "e");
    assert.match(lines[0]!, /broker\.down  warning: b$/);
    assert.match(lines[1]!, /internal\.error  error: e$/);
  });

  test("auto is pretty on a terminal and JSON elsewhere", () => {
    for (const errorIsTerminal of [true, false]) {
      const { log, lines } = setUp({ format: "auto" }, { errorIsTerminal });
      log.info("client.open", "x");
      assert.equal(lines[0]!.startsWith("{"), !errorIsTerminal);
    }
  });

  const colours: [setting: LogSettings["color"], terminal: boolean, variables: Record<string, string>, expected: boolean][] = [
    ["auto", true, {}, true],
    ["auto", false, {}, false],
    ["auto", true, { NO_COLOR: "1" }, false],
    ["auto", true, { NO_COLOR: "" }, true],
    ["auto", true, { TERM: "dumb" }, false],
    ["auto", false, { FORCE_COLOR: "1" }, true],
    ["auto", true, { FORCE_COLOR: "0" }, false],
    ["auto", false, { FORCE_COLOR: "1", NO_COLOR: "1" }, false],
    ["always", false, { NO_COLOR: "1" }, true],
    ["never", true, { FORCE_COLOR: "1" }, false],
  ];
  for (const [color, errorIsTerminal, variables, expected] of colours) {
    test(`colour ${color}, terminal ${errorIsTerminal}, ${JSON.stringify(variables)}: ${expected}`, () => {
      const { log, lines } = setUp({ format: "pretty", color }, { errorIsTerminal, variables });
      log.info("client.open", "x");
      assert.equal(lines[0]!.includes("\x1b["), expected);
    });
  }
});

describe("createLog, floods", () => {
  test("ten refusals in ten seconds, then a count", () => {
    const { log, lines, clock } = setUp();
    for (let i = 0; i < 322; i++) log.info("client.reject", `refused ${i}`);
    assert.equal(lines.length, 10);
    clock.now = 10_000;
    log.info("client.open", "another event tells it");
    assert.deepEqual(lines.slice(10).map((line) => JSON.parse(line).msg), ["… 312 similar in 10 s", "another event tells it"]);
    assert.equal(JSON.parse(lines[10]!).event, "client.reject");
    log.info("client.reject", "a new window");
    assert.equal(lines.length, 13);
  });

  test("nothing is told of a window without more than ten", () => {
    const { log, lines, clock } = setUp();
    for (let i = 0; i < 10; i++) log.info("client.reject", "r");
    clock.now = 20_000;
    log.info("client.open", "o");
    assert.equal(lines.length, 11);
  });

  test("sessions are always told", () => {
    const { log, lines } = setUp();
    for (let i = 0; i < 100; i++) {
      log.info("client.open", "o");
      log.info("client.close", "c");
    }
    assert.equal(lines.length, 200);
  });
});

test("createLog survives a stderr that throws", () => {
  const { log } = setUp({}, {
    writeError: () => {
      throw new Error("EPIPE");
    },
  });
  log.error("internal.error", "nobody hears");
});
