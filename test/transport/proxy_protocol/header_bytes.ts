import { bytes, hex, uint16, uint32 } from "../../support/mqtt_bytes.ts";

type Part = Uint8Array | readonly number[] | string;

export const SIGNATURE = hex("0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a");
export const PROXY = 0x21;
export const LOCAL = 0x20;
export const TCP4 = 0x11;
export const TCP6 = 0x21;

/** 192.0.2.1:50000 to 198.51.100.2:8883. */
export const ENDS4 = bytes([192, 0, 2, 1, 198, 51, 100, 2], uint16(50_000), uint16(8_883));
/** [2001:db8::1]:50000 to [2001:db8::2]:8883. */
export const ENDS6 = bytes(hex("20010db8000000000000000000000001 20010db8000000000000000000000002"), uint16(50_000), uint16(8_883));

export function version2(command: number, family: number, ...block: readonly Part[]): Uint8Array {
  const content = bytes(...block);
  return bytes(SIGNATURE, [command, family], uint16(content.length), content);
}

/** A header of PROXY over TCP4 with these fields. */
export function withFields(...fields: readonly Part[]): Uint8Array {
  return version2(PROXY, TCP4, ENDS4, ...fields);
}

/** A type-length-value field, or one with a length that lies. */
export function field(type: number, value: Part, length?: number): Uint8Array {
  const content = bytes(value);
  return bytes([type], uint16(length ?? content.length), content);
}

/** The TLS field: section 2.2.6. */
export function tlsField(client: number, verify: number, ...fields: readonly Part[]): Uint8Array {
  return field(0x20, bytes([client], uint32(verify), ...fields));
}
