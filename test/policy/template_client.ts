import type { TemplateClient } from "../../src/policy/template.ts";

/** A client of which everything is known, but for what a test says. */
export function clientWith(fields: Partial<TemplateClient> = {}): TemplateClient {
  return {
    clientId: "sensor",
    username: "ada",
    certificate: { commonName: "pump-7", names: { dns: ["pump.example", "other.example"] }, fingerprint: "ab".repeat(32) },
    address: "2001:db8::1",
    port: 50_123,
    listener: "front",
    serverName: "mqtt.example",
    version: 4,
    claims: { sub: "auth0|1", tenant: "blue" },
    ...fields,
  };
}
