import mqttPacket, { type Packet } from "mqtt-packet";
import type { Version } from "./fault.ts";

/**
 * Decodes exactly one whole frame through mqtt-packet, or answers undefined when it objects. A parser lives for one frame: it
 * would read across frame boundaries otherwise, and keep the CONNECT with its password.
 */
export function decodeFrame(frame: Uint8Array, version: Version | undefined): Packet | undefined {
  const parser = mqttPacket.parser(version === undefined ? {} : { protocolVersion: version });
  let packet: Packet | undefined;
  let objected = false;
  parser.on("packet", (decoded: Packet) => { packet = decoded; });
  parser.on("error", () => { objected = true; });
  const left = parser.parse(asBuffer(frame));
  return objected || left !== 0 ? undefined : packet;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
