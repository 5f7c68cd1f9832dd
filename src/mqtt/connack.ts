import { ByteReader } from "./byte_reader.ts";
import { SESSION_EXPIRY } from "./connect_layout.ts";
import { type Fault, fault, type Version } from "./fault.ts";
import { ASSIGNED_CLIENT_ID, CONNACK_PROPERTIES, readProperties, SERVER_KEEP_ALIVE, SERVER_REFERENCE } from "./properties.ts";

/** What sluice needs to know of a broker's answer; the frame itself is passed on as it came. */
export interface Connack {
  /** 0: accepted. Return code in 3.x, reason code in 5. */
  readonly code: number;
  /** MQTT 5: replaces the client's keep-alive. */
  readonly serverKeepAliveSeconds: number | undefined;
  readonly assignedClientId: string | undefined;
  /** MQTT 5: replaces the client's own. */
  readonly sessionExpirySeconds: number | undefined;
  /** Where a refusal sends the client: MQTT 5 section 4.11. */
  readonly serverReference: string | undefined;
}

/** The objection to the first byte of what a broker says before its session is open. AUTH exists in MQTT 5 alone. */
export function judgeBrokerFirstByte(version: Version): (first: number) => Fault | undefined {
  return version === 5 ? judgeFive : judgeThree;
}

const judgeThree = (first: number) => (first === 0x20 ? undefined : notConnack(first));
const judgeFive = (first: number) => (first === 0x20 || first === 0xf0 ? undefined : notConnack(first));
const notConnack = (first: number) =>
  fault("broker_malformed", `the broker's first byte is 0x${first.toString(16).padStart(2, "0")}, not CONNACK`);

/** Reads and checks one whole CONNACK frame. A frame of two body bytes is taken in MQTT 5 too: brokers that know only 3.1.1 refuse so. */
export function readConnack(frame: Uint8Array, version: Version): Connack | Fault {
  const reader = new ByteReader(frame, 1);
  const length = reader.variableInteger("remaining length");
  if (reader.byte("acknowledge flags") > 1) reader.fail("reserved acknowledge flags are set"); // [MQTT-3.2.2-1]
  const code = reader.byte("return code");
  if (length === 2) {
    return reader.failure === undefined
      ? { code, serverKeepAliveSeconds: undefined, assignedClientId: undefined, sessionExpirySeconds: undefined, serverReference: undefined }
      : fault("broker_malformed", `CONNACK: ${reader.failure}`);
  }
  const properties = version === 5 ? readProperties(reader, CONNACK_PROPERTIES, "CONNACK") : undefined;
  if (reader.left > 0) reader.fail(`${reader.left} bytes after its last field`);
  if (reader.failure !== undefined) return fault("broker_malformed", `CONNACK: ${reader.failure}`);
  return {
    code,
    serverKeepAliveSeconds: properties?.get(SERVER_KEEP_ALIVE) as number | undefined,
    assignedClientId: properties?.get(ASSIGNED_CLIENT_ID) as string | undefined,
    sessionExpirySeconds: properties?.get(SESSION_EXPIRY) as number | undefined,
    serverReference: properties?.get(SERVER_REFERENCE) as string | undefined,
  };
}

/** What a CONNACK with this code ends a session with. */
export function refusedBy(code: number): Fault {
  return fault("broker_refused", `CONNACK with code 0x${code.toString(16).padStart(2, "0")}`);
}
