import type { ProxyHeader } from "../../../src/transport/proxy_protocol/read.ts";
import { bytes, hex } from "../../support/mqtt_bytes.ts";

const NOTHING: ProxyHeader = { source: undefined, destination: undefined, authority: undefined, alpn: undefined, tls: undefined, uniqueId: undefined };
const loopback = (port: number) => ({ address: "127.0.0.1", port });

/** Headers as HAProxy 2.6 sent them, "hello" behind each, and what they tell. */
export const HAPROXY_HEADERS: readonly { name: string; stream: Uint8Array; header: ProxyHeader }[] = [
  {
    name: "send-proxy, IPv4",
    stream: bytes("PROXY TCP4 127.0.0.1 127.0.0.1 52060 29101\r\nhello"),
    header: { ...NOTHING, source: loopback(52_060), destination: loopback(29_101) },
  },
  {
    name: "send-proxy, IPv6",
    stream: bytes("PROXY TCP6 ::1 ::1 38508 29104\r\nhello"),
    header: { ...NOTHING, source: { address: "::1", port: 38_508 }, destination: { address: "::1", port: 29_104 } },
  },
  {
    name: "send-proxy, IPv4 on a dual-stack listener",
    stream: bytes("PROXY TCP6 ::ffff:127.0.0.1 ::ffff:127.0.0.1 49122 29104\r\nhello"),
    header: { ...NOTHING, source: loopback(49_122), destination: loopback(29_104) },
  },
  {
    name: "send-proxy-v2 with crc32c and unique-id",
    stream: hex("0d0a0d0a000d0a515549540a211100287f0000017f000001ac8a71ae0300047a42a56705001237463030303030313a414338415f3030303368656c6c6f"),
    header: { ...NOTHING, source: loopback(44_170), destination: loopback(29_102), uniqueId: bytes("7F000001:AC8A_0003") },
  },
  {
    name: "send-proxy-v2 for a client on a unix socket: LOCAL, with fields",
    stream: hex("0d0a0d0a000d0a515549540a2000000a030004826374b805000068656c6c6f"),
    header: NOTHING,
  },
  {
    name: "send-proxy-v2 with every option, TLS without a client certificate: its verify is zero all the same",
    stream: hex(`0d0a0d0a000d0a515549540a211100757f0000017f000001e45a71af030004a2119fc50100046d71747402000e42726f6b65722e4578616d706c65
      0500002000440100000000210007544c5376312e33250005454332353624001165636473612d776974682d534841323536230016544c535f4145535f3235365f47434d
      5f53484133383468656c6c6f`),
    header: {
      source: loopback(58_458),
      destination: loopback(29_103),
      authority: "broker.example",
      alpn: "mqtt",
      tls: { version: "1.3", cipher: "TLS_AES_256_GCM_SHA384", verified: false, clientCommonName: undefined },
      uniqueId: new Uint8Array(0),
    },
  },
  {
    name: "send-proxy-v2 with every option, TLS with a client certificate",
    stream: hex(`0d0a0d0a000d0a515549540a211100817f0000017f000001e45e71af03000466bd598e0100046d71747402000e42726f6b65722e4578616d706c65
      0500002000500700000000210007544c5376312e332200096c6f63616c686f7374250005454332353624001165636473612d776974682d534841323536230016544c53
      5f4145535f3235365f47434d5f53484133383468656c6c6f`),
    header: {
      source: loopback(58_462),
      destination: loopback(29_103),
      authority: "broker.example",
      alpn: "mqtt",
      tls: { version: "1.3", cipher: "TLS_AES_256_GCM_SHA384", verified: true, clientCommonName: "localhost" },
      uniqueId: new Uint8Array(0),
    },
  },
];
