import { addressBytes, addressText } from "../../lib/network.ts";
import { type Endpoint, NOTHING_TOLD, type ParsedHeader, type Refusal } from "./types.ts";

const CR = 0x0d;
const LF = 0x0a;
/** With CR and LF: section 2.1. */
export const LINE_BYTES_MAX = 107;

const UNKNOWN = /^PROXY UNKNOWN(?: .*)?$/s; // what follows is to be ignored
const KNOWN = /^PROXY (TCP4|TCP6) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+)$/;
const PORT = /^(?:0|[1-9]\d{0,4})$/;

/** Reads the line of version 1 (PROXY protocol section 2.1) from the front of the bytes; undefined: its end is not there yet. */
export function readVersion1(bytes: Uint8Array): ParsedHeader | Refusal | undefined {
  const end = bytes.subarray(0, LINE_BYTES_MAX).findIndex((byte) => byte === CR || byte === LF);
  if (end < 0 ? bytes.length >= LINE_BYTES_MAX : end + 2 > LINE_BYTES_MAX) return refuse(`more than ${LINE_BYTES_MAX} bytes`);
  if (end < 0) return undefined;
  if (bytes[end] === LF) return refuse("LF without CR");
  if (end + 1 === bytes.length) return undefined;
  if (bytes[end + 1] !== LF) return refuse("CR without LF");
  return readLine(String.fromCharCode(...bytes.subarray(0, end)), end + 2);
}

function readLine(line: string, length: number): ParsedHeader | Refusal {
  if (UNKNOWN.test(line)) return { header: NOTHING_TOLD, length };
  const words = KNOWN.exec(line);
  if (words === null) return refuse('not of the form "PROXY TCP4|TCP6 address address port port" with single spaces');
  const [, family = "", from = "", to = "", fromPort = "", toPort = ""] = words;
  const source = readEndpoint(family, from, fromPort);
  const destination = readEndpoint(family, to, toPort);
  if (source === undefined || destination === undefined) return refuse(`an address or port that is none for ${family}`);
  return { header: { ...NOTHING_TOLD, source, destination }, length };
}

function readEndpoint(family: string, address: string, port: string): Endpoint | undefined {
  const bytes = addressBytes(address);
  if (bytes === undefined || address.includes(":") !== (family === "TCP6")) return undefined;
  return PORT.test(port) && Number(port) <= 65535 ? { address: addressText(bytes), port: Number(port) } : undefined;
}

function refuse(reason: string): Refusal {
  return { refused: `version 1: ${reason}` };
}
