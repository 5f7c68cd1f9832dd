import { isLegalConnect } from "./connect_judge.ts";

/**
 * What a broker may have received on one connection: one legal CONNECT, then frames that a client of that version may send, the
 * last one perhaps cut, and nothing behind DISCONNECT. Answers the objection. It shares no line with what is tested.
 */
export function objectionTo(stream: Uint8Array): string | undefined {
  if (stream.length === 0) return undefined;
  const connect = readHeader(stream, 0);
  if (typeof connect === "string") return `CONNECT: ${connect}`;
  if (connect.end > stream.length) return "a CONNECT that is not whole";
  if (!isLegalConnect(stream.subarray(0, connect.end))) return "an illegal CONNECT";
  const nameLength = ((stream[connect.body] as number) << 8) | (stream[connect.body + 1] as number);
  const version = (stream[connect.body + 2 + nameLength] as number) & 0x7f;
  for (let at = connect.end, finished = false; at < stream.length; ) {
    if (finished) return "bytes after DISCONNECT";
    const header = readHeader(stream, at);
    if (typeof header === "string") return `at byte ${at}: ${header}`;
    const objection = objectionToHeader(header.first, header.end - header.body, version);
    if (objection !== undefined) return `at byte ${at}: ${objection}`;
    finished = header.first === 0xe0;
    at = header.end;
  }
  return undefined;
}

interface Header {
  readonly first: number;
  readonly body: number;
  readonly end: number;
}

/** A header that is cut is an objection: it may not leave sluice before it is whole. */
function readHeader(stream: Uint8Array, at: number): Header | string {
  let length = 0;
  for (let digit = 0; digit < 4; digit++) {
    const byte = stream[at + 1 + digit];
    if (byte === undefined) return "a header that is cut";
    if (digit > 0 && byte === 0) return "a length that is not in its shortest form";
    length += (byte & 127) * 128 ** digit;
    if (byte < 128) return { first: stream[at] as number, body: at + 2 + digit, end: at + 2 + digit + length };
  }
  return "a length of five bytes";
}

function objectionToHeader(first: number, length: number, version: number): string | undefined {
  const type = first >> 4;
  const flags = first & 15;
  const what = `type ${type}, flags ${flags}, length ${length}`;
  const flagsAre = (...legal: readonly number[]): boolean => legal.includes(flags);
  const two = version === 3 ? [2, 10] : [2];
  switch (type) {
    case 3: return (flags & 6) === 6 || flags === 8 || flags === 9 || length < 2 ? what : undefined;
    case 4: case 5: case 7: return flagsAre(0) && (version === 5 ? length >= 2 : length === 2) ? undefined : what;
    case 6: return flagsAre(...two) && (version === 5 ? length >= 2 : length === 2) ? undefined : what;
    case 8: return flagsAre(...two) && length >= 6 ? undefined : what;
    case 10: return flagsAre(...two) && length >= 5 ? undefined : what;
    case 12: return flagsAre(0) && length === 0 ? undefined : what;
    case 14: return flagsAre(0) && (version === 5 || length === 0) ? undefined : what;
    case 15: return flagsAre(0) && version === 5 ? undefined : what;
    default: return what;
  }
}
