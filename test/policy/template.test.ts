import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseTemplate, type Template, type TemplateProblem, type TemplateTarget } from "../../src/config/template.ts";
import { expandTemplate, type TemplateClient } from "../../src/policy/template.ts";
import { chooseSeed, seeded } from "../support/seed.ts";
import { clientWith } from "./template_client.ts";

function parsed(text: string, target: TemplateTarget = "text"): Template {
  const template = parseTemplate(text, target);
  assert.ok("parts" in template, JSON.stringify(template));
  return template;
}

function expanded(text: string, fields: Partial<TemplateClient> = {}, target: TemplateTarget = "text"): string {
  const result = expandTemplate(parsed(text, target), clientWith(fields));
  return typeof result === "string" ? result : `refused: ${result.detail}`;
}

function problemOf(text: string, target: TemplateTarget = "text"): TemplateProblem {
  const result = parseTemplate(text, target);
  assert.ok("reason" in result, `taken: ${text}`);
  return result;
}

describe("parseTemplate", () => {
  test("a variable that does not exist is an error with a suggestion", () => {
    const near = [["clientid", "client.id"], ["client_id", "client.id"], ["user", "username"], ["tls.dn", "tls.cn"], ["adress", "address"], ["claim.sub", "claims.sub"], ["Username", "username"]];
    for (const [wrong, right] of near) {
      const { reason, suggestion } = problemOf(`a/\${${wrong}}`);
      assert.match(reason, new RegExp(`there is no variable "${wrong}"`));
      assert.equal(suggestion, `did you mean \${${right}}?`);
    }
    for (const wrong of ["", " username", "claims.", "quite_another", "__proto__", "constructor"]) assert.match(problemOf(`\${${wrong}}`).reason, /^there is no variable/);
  });

  test("a variable that is not closed, and a default with a variable in it", () => {
    assert.match(problemOf("a/${username").reason, /not closed/);
    assert.match(problemOf("${username:-${client.id}}").reason, /default/);
  });

  test("the text itself: no control characters; no wildcards where there are levels", () => {
    for (const character of ["\0", "\n", "\r", "\x1b", "\x7f", "\x85", "\ud800"]) {
      problemOf(`a${character}`);
      problemOf(`\${username:-${character}}`);
    }
    for (const target of ["client_id", "topic"] as const) {
      for (const text of ["a/+/b", "#", "${username:-#}"]) problemOf(text, target);
      parsed("$share/a/b/${username:-x/y}", target);
    }
    parsed("a+b#c/${username:-#}");
  });
});

describe("expandTemplate", () => {
  test("each variable", () => {
    const all = "${client.id} ${username} ${tls.cn} ${tls.san} ${tls.fingerprint} ${address} ${port} ${listener} ${sni} ${version} ${claims.sub} ${claims.tenant}";
    assert.equal(expanded(all), `sensor ada pump-7 pump.example ${"ab".repeat(32)} 2001:db8::1 50123 front mqtt.example 3.1.1 auth0|1 blue`);
    assert.deepEqual(([3, 4, 5] as const).map((version) => expanded("${version}", { version })), ["3.1", "3.1.1", "5"]);
    assert.equal(expanded("dev/${client.id}/x"), "dev/sensor/x");
    assert.equal(expanded("plain $ { } $x {username}"), "plain $ { } $x {username}");
    assert.equal(expanded(""), "");
  });

  test("$${ is ${, and what follows is plain", () => {
    assert.equal(expanded("$${username} ${username} $$ $${"), "${username} ada $$ ${");
  });

  test("a value that is missing or empty leaves no text, and says which", () => {
    const none = { username: undefined, certificate: undefined, serverName: undefined, claims: undefined, clientId: "" };
    for (const name of ["client.id", "username", "tls.cn", "tls.san", "tls.fingerprint", "sni", "claims.sub"]) {
      assert.equal(expanded(`a/\${${name}}`, none), `refused: the client has no ${name}`);
      assert.equal(expanded(`a/\${${name}:-x}/b`, none), "a/x/b");
      assert.equal(expanded(`a\${${name}:-}b`, none), "ab");
    }
    const certificate = { commonName: undefined, names: { dns: [] }, fingerprint: undefined };
    for (const name of ["tls.cn", "tls.san", "tls.fingerprint"]) assert.equal(expanded(`\${${name}}`, { certificate }), `refused: the client has no ${name}`);
    assert.equal(expanded("${username}", { username: "" }), "refused: the client has no username");
  });

  test("a default is for what is missing, not for what is refused", () => {
    assert.match(expanded("${username:-x}", { username: "a\0b" }), /^refused: the client's username has/);
    assert.match(expanded("${username:-x}", { username: "a/b" }, "client_id"), /^refused/);
    assert.equal(expanded("${username:-a:-b}", { username: undefined }), "a:-b");
  });

  test("I2: a value is never expanded, whatever it looks like", () => {
    for (const value of ["${username}", "${client.id}", "$${x}", "%c", "%u", "${", "}", "\\${tls.cn}", "$&", "$1", "{{x}}"]) {
      assert.equal(expanded("<${claims.sub}>${username}", { claims: { sub: value }, username: value }), `<${value}>${value}`);
    }
  });

  test("I2, CVE-2017-7650: + # and / stay out of client ids and topics, and nobody gets into the broker's own topics", () => {
    for (const target of ["client_id", "topic"] as const) {
      for (const value of ["+", "#", "a/b", "/", "../x", "a+b", "x#", "$SYS/a"]) {
        assert.match(expanded("dev/${client.id}", { clientId: value }, target), /^refused: the client's client.id has one of/, value);
        assert.equal(expanded("dev/${client.id}", { clientId: value }), `dev/${value}`);
      }
      assert.match(expanded("${username}/x", { username: "$SYS" }, target), /^refused: .* \$ at its beginning/);
      assert.match(expanded("${tls.cn:-}${username}", { username: "$share", certificate: undefined }, target), /^refused/);
      assert.equal(expanded("t/${username}", { username: "$SYS" }, target), "t/$SYS");
      for (const value of [".*", "a|b", "%c", "ü", "a b", "a:b@c", "..", "a*?"]) assert.equal(expanded("${username}", { username: value }, target), value);
    }
  });

  test("I1, M14: control characters and halves of surrogate pairs are refused everywhere", () => {
    for (const value of ["\0", "a\0", "a\r\nX-Allow: 1", "\x1b[2J", "\x7f", "\x9b", "\ud800", "a\udc00b"]) {
      for (const target of ["text", "client_id", "topic"] as const) {
        const text = expanded("${claims.sub}", { claims: { sub: value } }, target);
        assert.equal(text, "refused: the client's claims.sub has a control character or half of a surrogate pair");
      }
    }
    assert.equal(expanded("${claims.sub}", { claims: { sub: "𝄞" } }), "𝄞");
  });

  test("I5: claims are their own, and only texts, numbers and truth values are text", () => {
    for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) assert.equal(expanded(`\${claims.${name}}`), `refused: the client has no claims.${name}`);
    assert.equal(expanded("${claims.role}", { claims: Object.create({ role: "admin" }) }), "refused: the client has no claims.role");
    const odd = JSON.parse('{"__proto__": "own", "https://example.com/id": "u-1", "n": 7, "big": 1e21, "yes": true, "no": false, "list": ["a"], "table": {"a": 1}, "nothing": null}');
    const of = (name: string): string => expanded(`\${claims.${name}}`, { claims: odd });
    assert.deepEqual(["__proto__", "https://example.com/id", "n", "yes", "no"].map(of), ["own", "u-1", "7", "true", "false"]);
    for (const name of ["list", "table", "nothing"]) assert.equal(of(name), `refused: the client has no claims.${name}`);
  });

  test("no refusal says a value", () => {
    for (const username of ["secret\0", "secret/x"]) assert.doesNotMatch(expanded("${username}", { username }, "topic"), /secret/);
  });

  const seed = chooseSeed();
  test(`I2: whatever the values are, a text keeps its levels and its own characters (${seed})`, () => seeded((random) => {
    const pieces = ["a", "/", "+", "#", "$", "{", "}", "${", "${username}", ":-", "\0", "\n", "ü", "\ud83d", "\ude00", "", "tenant"];
    for (let round = 0; round < 5_000; round++) {
      const draw = (): string => Array.from({ length: random.integer(0, 4) }, () => random.pick(pieces)).join("");
      const fields = { username: draw(), clientId: draw() };
      for (const target of ["client_id", "topic"] as const) {
        const text = expanded("t/${username}/${client.id}-x", fields, target);
        if (text.startsWith("refused: ")) continue;
        assert.equal(text, `t/${fields.username}/${fields.clientId}-x`);
        assert.match(text, /^t\/[^/+#\p{Cc}\p{Cs}]+\/[^/+#\p{Cc}\p{Cs}]+-x$/u);
      }
    }
  }, seed));
});
