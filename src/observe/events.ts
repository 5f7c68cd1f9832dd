/** The names of log events. They are stable: people filter by them. */
export const EVENTS = {
  listenerStart: "listener.start",
  clientOpen: "client.open",
  clientClose: "client.close",
  clientReject: "client.reject",
  brokerDown: "broker.down",
  brokerUp: "broker.up",
  brokerState: "broker.state",
  brokerInsecure: "broker.insecure",
  serviceDown: "service.down",
  sessionClear: "session.clear",
  configWarning: "config.warning",
  certificateAuthority: "certificate.authority",
  certificateLoaded: "certificate.loaded",
  certificateRefused: "certificate.refused",
  certificateExpiry: "certificate.expiry",
  drainStart: "drain.start",
  drainEnd: "drain.end",
  internalError: "internal.error",
} as const;

export type EventName = (typeof EVENTS)[keyof typeof EVENTS];
