/**
 * Reads the JUnit reports of the three runtimes' test runners. They agree on `<testcase>`, on `<failure>` or `<error>`
 * and `<skipped>` inside it, and on little else: names of groups come as nested `<testsuite>` (Bun, Node) or as
 * a prefix `group > ` (Deno, which also lists each group as a testcase of its own).
 */

export interface TestCase {
  /** With its groups: `outer > inner > name`. */
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  /** Why it failed, or the reason of a skip where the runtime reports it. */
  readonly detail: string;
}

const TAG = /<(\/?)([\w:-]+)((?:\s+[\w:-]+="[^"]*")*)\s*(\/?)>|<!\[CDATA\[([\s\S]*?)\]\]>|<!--[\s\S]*?-->/g;

/** A suite that holds the tests of a file, not a `describe` of the source. */
const FILE_SUITE = /\.(test|mjs|ts)\b|^(bun|deno) test$|^ext:/;

export function readReport(xml: string): TestCase[] {
  const cases: TestCase[] = [];
  const groups: string[] = [];
  let open: { name: string; outcome: TestCase["outcome"]; detail: string } | undefined;
  for (const [, closing, tag, attributeText = "", selfClosing] of xml.matchAll(TAG)) {
    const attributes = readAttributes(attributeText);
    if (tag === "testsuite") {
      if (closing === "/") groups.pop();
      else if (selfClosing === "") groups.push(FILE_SUITE.test(attributes["name"] ?? "") ? "" : (attributes["name"] ?? ""));
    } else if (tag === "testcase" && closing === "") {
      const name = [...groups.filter((group) => group !== ""), attributes["name"] ?? ""].join(" > ");
      open = { name, outcome: "passed", detail: "" };
      if (selfClosing === "/") cases.push(open);
    } else if (tag === "testcase" && open !== undefined) {
      cases.push(open);
      open = undefined;
    } else if (open !== undefined && closing === "" && (tag === "failure" || tag === "error")) {
      open.outcome = "failed";
      open.detail = attributes["message"] ?? "";
    } else if (open !== undefined && closing === "" && tag === "skipped") {
      open.outcome = "skipped";
      open.detail = attributes["message"] ?? "";
    }
  }
  return withoutGroups(cases);
}

/**
 * Leaves out what only repeats its own parts. A group that failed for a reason of its own (a `before` that threw)
 * stays: it has no failed part that would tell.
 */
function withoutGroups(cases: readonly TestCase[]): TestCase[] {
  return cases.filter((group) => {
    const parts = cases.filter((other) => other !== group && other.name.startsWith(`${group.name} > `));
    if (parts.length === 0) return true;
    return group.outcome === "failed" && !parts.some((part) => part.outcome === "failed");
  });
}

function readAttributes(text: string): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const [, name = "", value = ""] of text.matchAll(/([\w:-]+)="([^"]*)"/g)) attributes[name] = unescape(value);
  return attributes;
}

function unescape(text: string): string {
  const named: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
  return text.replace(/&(#x?[0-9a-fA-F]+|\w+);/g, (whole, entity: string) => {
    if (entity.startsWith("#x")) return String.fromCodePoint(Number.parseInt(entity.slice(2), 16));
    if (entity.startsWith("#")) return String.fromCodePoint(Number(entity.slice(1)));
    return named[entity] ?? whole;
  });
}
