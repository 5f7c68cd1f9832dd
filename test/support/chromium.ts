import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Child } from "./child.ts";
import { within } from "./deadline.ts";
import { findProgram } from "./needs.ts";
import type { TestScope } from "./process.ts";

/** A page is loaded and answered for within this time, a cold start of the browser included. */
const DEADLINE_MS = 60_000;

const FLAGS = [
  "--headless=new",
  "--no-sandbox", // it refuses to run as root with one, and the page is our own
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-background-networking",
  "--disable-component-update",
  "--no-first-run",
  "--no-default-browser-check",
  "--ignore-certificate-errors", // authorities are made by the tests, and the browser takes none from a file
];

export interface PageSite {
  /** Where pages come from: `http://127.0.0.1:port`. */
  readonly origin: string;
  /** Opens a page in a real browser, and resolves with what it has given to `report`. */
  visit(script: string): Promise<unknown>;
}

/** A site whose page loads the given scripts by their paths, and runs one script of the test behind them. */
export async function startSite(t: TestScope, scripts: Readonly<Record<string, string | Uint8Array>>): Promise<PageSite> {
  let page = "";
  let answered: (value: unknown) => void = () => {};
  const server = createServer((request, response) => {
    const { url = "/" } = request;
    if (request.method === "POST") {
      let text = "";
      request.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      request.on("end", () => {
        response.end();
        answered(JSON.parse(text));
      });
    } else if (url === "/") response.setHeader("content-type", "text/html").end(page);
    else if (scripts[url] !== undefined) response.setHeader("content-type", "text/javascript").end(scripts[url]);
    else response.writeHead(404).end();
  });
  const origin = await listen(t, server);
  return {
    origin,
    async visit(script) {
      const tags = Object.keys(scripts).map((path) => `<script src="${path}"></script>`);
      page = `<!doctype html>${tags.join("")}<script>
const report = (value) => fetch("/report", { method: "POST", body: JSON.stringify(value) });
addEventListener("error", (event) => report({ thrown: event.message }));
${script}
</script>`;
      const answer = new Promise((resolve) => (answered = resolve));
      return openBrowser(`${origin}/`, answer);
    },
  };
}

async function listen(t: TestScope, server: Server): Promise<string> {
  await new Promise<void>((ready) => server.listen({ host: "127.0.0.1", port: 0 }, ready));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function openBrowser(url: string, answer: Promise<unknown>): Promise<unknown> {
  const directory = mkdtempSync(join(tmpdir(), "sluice-chromium-"));
  const program = findProgram("chromium") ?? "chromium";
  const browser = await Child.start([program, ...FLAGS, `--user-data-dir=${directory}`, "--remote-debugging-port=0", url]);
  try {
    const ended = browser.exited.then(() => {
      throw new Error("the browser ended");
    });
    return await within(DEADLINE_MS, Promise.race([answer, ended]), "the page's report");
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${browser.transcript()}`);
  } finally {
    await browser.stop();
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}
