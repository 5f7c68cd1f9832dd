import type { Broker } from "./broker.ts";

/** Of the schemes of brokers. */
const DEFAULT_PORTS = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443 } as const;

/**
 * The brokers that a Server Reference names, in its order: texts such as `host` and `[2001:db8::1]:1883` with spaces between (MQTT 5
 * section 4.11). What names none of these is passed over: nobody is ever sent to a place that the operator did not name.
 */
export function* brokersNamed(reference: string, brokers: readonly Broker[]): Iterable<Broker> {
  const byPlace = new Map<string, Broker>();
  for (const broker of brokers) for (const place of placesOf(broker)) byPlace.set(place, broker);
  for (const place of reference.split(" ")) {
    const broker = byPlace.get(place.toLowerCase());
    if (broker !== undefined) yield broker;
  }
}

function placesOf({ config }: Broker): string[] {
  const { scheme, host, port, unixPath } = config;
  if (unixPath !== undefined) return [];
  const name = (host.includes(":") ? `[${host}]` : host).toLowerCase();
  const places = [`${name}:${port}`];
  if (port === DEFAULT_PORTS[scheme]) places.push(name);
  return places;
}
