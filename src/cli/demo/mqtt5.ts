import { randomInt } from "node:crypto";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import mqttPacket, { type Packet } from "mqtt-packet";

/** CONNACK return codes of MQTT 3.1.1 as reason codes of MQTT 5. */
const REASON_CODES = [0x00, 0x84, 0x85, 0x88, 0x86, 0x87] as const;

/**
 * The embedded broker speaks MQTT 3.1 and 3.1.1. This stands between it and its socket and lets clients of MQTT 5 in: packets
 * pass without their properties. Enough to see MQTT 5 work; what only MQTT 5 can do is left out.
 */
export function acceptMqtt5(socket: Socket): Duplex {
  const fromClient = mqttPacket.parser();
  const fromBroker = mqttPacket.parser({ protocolVersion: 4 });
  let version: 3 | 4 | 5 = 4;
  /** Given to a client that came without one; MQTT 5 wants it told [MQTT-3.2.2-16]. */
  let assignedClientIdentifier: string | undefined;
  /** By packet id: how many topics an UNSUBSCRIBE named. Its answer in MQTT 5 has a code for each [MQTT-3.11.3-1]. */
  const unsubscribed = new Map<number | undefined, number>();

  function toBroker(packet: Packet): Buffer {
    if (packet.cmd === "unsubscribe") unsubscribed.set(packet.messageId, packet.unsubscriptions.length);
    if (packet.cmd !== "connect") return mqttPacket.generate(packet, { protocolVersion: 4 });
    version = packet.protocolVersion ?? 4;
    if (packet.clientId === "") assignedClientIdentifier = `visitor-${randomInt(1_000, 10_000)}`;
    return mqttPacket.generate({ ...packet, clientId: assignedClientIdentifier ?? packet.clientId, protocolVersion: version === 5 ? 4 : version });
  }
  function toClient(packet: Packet): Buffer {
    let answer = packet;
    if (version === 5 && packet.cmd === "connack") {
      const properties = { ...(assignedClientIdentifier && { assignedClientIdentifier }), subscriptionIdentifiersAvailable: false, sharedSubscriptionAvailable: false };
      answer = { ...packet, reasonCode: REASON_CODES[packet.returnCode ?? 0] ?? 0x80, properties };
    } else if (version === 5 && packet.cmd === "unsuback") {
      answer = { ...packet, granted: new Array<number>(unsubscribed.get(packet.messageId) ?? 1).fill(0) };
      unsubscribed.delete(packet.messageId);
    }
    return mqttPacket.generate(answer, { protocolVersion: version });
  }

  /** Packets for the broker. It reads on while it is reading, and on Bun would then take a packet twice: so it finds one piece at a time. */
  let waiting: Buffer[] = [];
  function offer(): void {
    if (waiting.length === 0 || stream.destroyed) return;
    if (stream.readableLength > 0) return void socket.pause();
    stream.push(Buffer.concat(waiting));
    waiting = [];
    socket.resume();
  }

  const stream: Duplex = new Duplex({
    read: () => void setImmediate(offer),
    write(chunk: Buffer, _encoding, done) {
      fromBroker.parse(chunk);
      if (socket.writableNeedDrain) socket.once("drain", done);
      else done();
    },
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  fromClient.on("packet", (packet) => void waiting.push(toBroker(packet)));
  fromBroker.on("packet", (packet) => void socket.write(toClient(packet)));
  for (const parser of [fromClient, fromBroker]) parser.on("error", () => void stream.destroy());
  socket.on("data", (chunk: Buffer) => {
    if (stream.destroyed) return;
    fromClient.parse(chunk);
    offer();
  });
  socket.on("error", () => {}); // "close" follows
  for (const event of ["end", "close"]) socket.on(event, () => void stream.destroy());
  return stream;
}
