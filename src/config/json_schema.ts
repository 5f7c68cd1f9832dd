import { toJsonSchema } from "@valibot/to-json-schema";
import { configurationSchema } from "./schema.ts";

/** The TOML file's JSON Schema, for editors. Loaded only where it is asked for. */
export function jsonSchema(): object {
  const schema = toJsonSchema(configurationSchema, { typeMode: "input", target: "draft-07", ignoreActions: ["check"] });
  return { ...schema, title: "sluice", description: "The configuration of sluice, a reverse proxy for MQTT" };
}
