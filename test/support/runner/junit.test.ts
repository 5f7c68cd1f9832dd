import assert from "node:assert/strict";
import { test } from "node:test";
import { readReport } from "./junit.ts";

const brief = (xml: string): string[] => readReport(xml).map((one) => `${one.outcome} ${one.name}`);

test("readReport reads Bun's report: nested suites are groups, the file's own suite is not", () => {
  const xml = `<?xml version="1.0"?>
    <testsuites name="bun test" tests="4"><testsuite name="test/a.test.ts" file="test/a.test.ts">
      <testcase name="plain" time="0" assertions="0" />
      <testcase name="left out" time="0"><skipped /></testcase>
      <testsuite name="group" line="8">
        <testcase name="fine" classname="group" />
        <testcase name="broken" classname="group"><failure type="Error" message="boom &amp; &#10;bang">Error: boom</failure></testcase>
      </testsuite>
    </testsuite></testsuites>`;
  assert.deepEqual(brief(xml), ["passed plain", "skipped left out", "passed group > fine", "failed group > broken"]);
  assert.equal(readReport(xml)[3]?.detail, "boom & \nbang");
});

test("readReport reads Deno's report and counts a group by its parts alone", () => {
  const xml = `<testsuites name="deno test"><testsuite name="./test/a.test.ts">
      <testcase name="group" line="8"><failure message="1 test step failed">1 test step failed.</failure></testcase>
      <testcase name="lone" line="9">
      </testcase></testsuite>
    <testsuite name="ext:deno_node/testing.ts">
      <testcase name="group &gt; fine"></testcase>
      <testcase name="group &gt; broken"><failure message="Uncaught Error: a
 second line">Error</failure></testcase>
      <testcase name="group &gt; out"><skipped/></testcase>
    </testsuite></testsuites>`;
  assert.deepEqual(brief(xml), ["passed lone", "passed group > fine", "failed group > broken", "skipped group > out"]);
});

test("readReport keeps a group that failed by itself", () => {
  const xml = `<testsuite name="./test/a.test.ts">
    <testcase name="group"><failure message="before threw">x</failure></testcase>
    <testcase name="group &gt; fine"></testcase></testsuite>`;
  assert.deepEqual(brief(xml), ["failed group", "passed group > fine"]);
});

test("readReport reads Node's report with the reasons of its skips", () => {
  const xml = `<testsuites>
	<testcase name="left out" time="0.1" classname="test">
		<skipped type="skipped" message="no mosquitto here"/>
	</testcase>
	<testsuite name="parts" tests="1"><testcase name="a > b" classname="test"/></testsuite>
	<testcase name="bad" failure="1 !== 2"><failure type="testCodeFailure" message="1 !== 2">[Error] { a: &lt;x> }
	</failure></testcase>
	<!-- tests 3 --></testsuites>`;
  assert.deepEqual(brief(xml), ["skipped left out", "passed parts > a > b", "failed bad"]);
  assert.equal(readReport(xml)[0]?.detail, "no mosquitto here");
});
