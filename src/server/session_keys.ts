import { connectUserProperties } from "../mqtt/connect_fields.ts";
import type { Connect } from "../mqtt/connect.ts";
import type { RouteKey } from "../policy/routes.ts";
import type { Session } from "../session/session.ts";

/** What affinity goes by: the client id, or the address of a client without one. */
export function keyOf(session: Session): string {
  return session.clientId || session.address;
}

/** Under which the brokers know it: two clients with one id of their own may be two MQTT sessions there, where rewriting makes them so. */
export function idAtBrokers(session: Session): string {
  return session.idAtBrokers ?? session.clientId;
}

/** What the brokers got from a session that is not open yet, but for credentials of a broker's URL. */
export function connectAtBrokers(session: Session): Connect {
  return session.connect?.rewritten?.connect ?? (session.connect as Connect);
}

/** As it was checked, else as the client says. */
export function usernameOf(session: Session): string | undefined {
  return session.username ?? session.connect?.username;
}

/** What routes go by, of a session whose CONNECT was read. */
export function routeKeyOf(session: Session): RouteKey {
  const connect = session.connect as Connect;
  const tls = session.origin?.tls;
  const { commonName, names } = tls?.certificate ?? {};
  return {
    listener: session.context.listenerName,
    address: session.address,
    serverName: tls?.serverName,
    alpn: tls?.alpn === undefined ? [] : [tls.alpn],
    connect: {
      clientId: connect.clientId,
      username: usernameOf(session),
      version: connect.version,
      commonName,
      alternativeNames: names === undefined ? [] : [...names.dns, ...names.email, ...names.uri, ...names.ip],
      userProperties: () => connectUserProperties(connect),
    },
  };
}
