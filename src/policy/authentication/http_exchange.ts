export interface HttpQuestion {
  readonly url: URL;
  readonly method: "GET" | "HEAD" | "POST";
  readonly headers: Headers;
  readonly body?: string;
  /** For everything, from the look-up of the name to the last byte of the answer. */
  readonly timeoutMs: number;
  /** A longer answer is none. */
  readonly bytesMax: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: Uint8Array;
}

/** Why there is no answer, for the log. It has neither the URL nor what was sent in it. */
export interface HttpFailure {
  readonly failure: string;
}

/** One request, bounded in time and size. Redirects are not followed: what was sent is for this one service. Never throws. */
export async function askHttp({ url, method, headers, body, timeoutMs, bytesMax }: HttpQuestion): Promise<HttpAnswer | HttpFailure> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), Math.max(0, timeoutMs));
  try {
    const response = await fetch(url, { method, headers, redirect: "manual", signal: abort.signal, ...(body !== undefined && { body }) });
    const bytes = await readBody(response.body, bytesMax);
    return bytes === undefined ? { failure: `the answer is longer than ${bytesMax} bytes` } : { status: response.status, body: bytes };
  } catch (thrown) {
    return { failure: abort.signal.aborted ? "no answer in time" : `it cannot be reached${codeText(thrown)}` };
  } finally {
    clearTimeout(timer);
  }
}

async function readBody(stream: ReadableStream<Uint8Array> | null, bytesMax: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = stream?.getReader();
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > bytesMax) {
      await reader.cancel();
      return undefined;
    }
    chunks.push(value);
  }
  return Buffer.concat(chunks);
}

/** The messages of some runtimes have the URL in them, so only the code is shown. */
function codeText(thrown: unknown): string {
  const { code, cause } = thrown as { code?: unknown; cause?: { code?: unknown } };
  const found = [code, cause?.code].find((one) => typeof one === "string" && /^\w{1,40}$/.test(one));
  return found === undefined ? "" : ` (${String(found)})`;
}
