import type { ListenerConfig, Material } from "../config/types.ts";
import type { Log } from "../observe/log.ts";
import type { Listener, NetworkError } from "../runtime/types.ts";
import type { SessionContext } from "../session/context.ts";
import { Entrance, type EntranceOwner } from "./entrance.ts";
import { listenOptions } from "./listen_options.ts";

/** A listener that accepts, and what its clients go through. */
export interface Door {
  readonly entrance: Entrance;
  readonly listener: Listener;
}

export interface DoorOptions {
  readonly owner: EntranceOwner;
  readonly config: ListenerConfig;
  readonly context: SessionContext;
  readonly material: Material;
  readonly log: Log;
  /** Asked for each client before anything is read of it. */
  readonly admit: () => boolean;
}

/** With its certificates and what else stands in front of MQTT, loaded where the listener needs it. */
export async function openDoor({ owner, config, context, material, log, admit }: DoorOptions): Promise<Door | NetworkError> {
  const { runtime } = owner;
  const { tls, name } = config;
  const certificates = tls === undefined || tls === "passthrough" ? undefined
    : await (await import("./certificate_store.ts")).CertificateStore.open({ runtime, log, listener: name, tls }, material.listeners.get(name) ?? []);
  if (certificates !== undefined && "code" in certificates) return certificates;
  const options = listenOptions(config, runtime.system);
  if ("code" in options) return options;
  const arrive = Entrance.isPlain(config) ? undefined : (await import("./arrival.ts")).arrive;
  const entrance = new Entrance(owner, config, context, { arrive, certificates });
  try {
    return { entrance, listener: await runtime.listen(options, { admit, accept: (connection) => entrance.accepted(connection) }) };
  } catch (error) {
    return error as NetworkError;
  }
}
