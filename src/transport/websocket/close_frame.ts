import { CLOSE_CODE, type CloseCode } from "./frame_format.ts";

/** How the peer said goodbye. */
export interface PeerClose {
  /** undefined: its Close frame was empty. */
  readonly code: number | undefined;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** The payload of a Close frame (RFC 6455 section 5.5.1), or in words what is wrong with it and the code to answer with. */
export function readClose(payload: Uint8Array): PeerClose | { readonly code: CloseCode; readonly detail: string } {
  if (payload.length === 0) return { code: undefined };
  if (payload.length === 1) return { code: CLOSE_CODE.protocolError, detail: "a Close frame with half a code" };
  const code = ((payload[0] as number) << 8) | (payload[1] as number);
  if (!mayBeSent(code)) return { code: CLOSE_CODE.protocolError, detail: `a Close frame with the code ${code}` };
  if (!isUtf8(payload.subarray(2))) return { code: CLOSE_CODE.invalidPayload, detail: "a Close frame whose reason is not UTF-8" };
  return { code };
}

/** RFC 6455 section 7.4.2 and the IANA registry: 1004 to 1006 and 1015 are never on the wire, 3000 to 4999 are the applications'. */
function mayBeSent(code: number): boolean {
  return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999);
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    decoder.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
