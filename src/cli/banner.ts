import type { Configuration, ListenerConfig } from "../config/types.ts";
import type { Paint } from "../lib/color.ts";
import type { Runtime } from "../runtime/types.ts";
import type { BrokerAnswer, ListeningAddress, ProxyServer } from "../server/types.ts";
import { shellWord } from "./cert/shell_word.ts";
import { reasonOf } from "./report.ts";
import { VERSION } from "./version.ts";

/** What accepts: known as soon as the listeners are open. */
export function bannerHead({ addresses }: ProxyServer, runtime: Runtime, paint: Paint): string {
  const lines = addresses.map(({ name, url: plainUrl, host, unixPath, pool }, index) => {
    const url = paint("bold", plainUrl);
    const given = name.includes("://") ? "" : `  ${name}`;
    return row(index, "accepts", `${url}${host === undefined && unixPath === undefined ? " (every address)" : ""} → pool ${pool}${given}`, paint);
  });
  return [`${paint("bold", `sluice ${VERSION}`)} on ${runtime.name} ${runtime.version}`, ...lines].join("\n");
}

/** Where it goes, whether each broker answers, and what to type next. */
export function bannerBrokers({ addresses }: ProxyServer, configuration: Configuration, answers: readonly BrokerAnswer[], paint: Paint): string {
  const brokers = answers.map(({ pool, broker, state: admin, error, milliseconds }, index) => {
    const balance = configuration.pools.find((each) => each.name === pool)?.balance ?? "";
    const state = admin !== undefined ? paint("yellow", admin === "drain" ? "drain: no new clients" : "maint: no clients") : error ? paint("red", `does not answer: ${reasonOf(error)}`) : paint("green", `answers in ${Math.max(1, Math.round(milliseconds))} ms`);
    return row(index, "goes to", `${broker}  ${state}  pool ${pool}, ${balance}`, paint);
  });
  const [first] = addresses;
  return [...brokers, ...(first ? tryIt(first, configuration, paint) : [])].join("\n");
}

function tryIt({ name, url, scheme, host, port, unixPath }: ListeningAddress, configuration: Configuration, paint: Paint): string[] {
  const listener = configuration.listeners.find((each) => each.name === name);
  // Whose TLS is the broker's, or who must come through a proxy, gets in by none of these lines.
  if (listener === undefined || listener.tls === "passthrough" || listener.proxyProtocol?.mode === "required") return [];
  if (scheme === "ws" || scheme === "wss") return [row(0, "try", `MQTT.js: mqtt.connect(${JSON.stringify(host === undefined ? url.replace("://:", "://localhost:") : url)})`, paint)];
  const target = unixPath === undefined ? `-h ${host ?? "localhost"} -p ${port}${tlsWords(listener)}` : `--unix ${shellWord(unixPath)}`;
  return [
    row(0, "try", `mosquitto_sub ${target} -t 'try/#' -v`, paint),
    row(1, "", `mosquitto_pub ${target} -t try/sluice -m hello`, paint),
  ];
}

/** What mosquitto_pub needs for the listener's TLS; nothing where it can do without. */
function tlsWords({ tls, accept = [] }: ListenerConfig): string {
  if (typeof tls !== "object" || accept.includes("mqtt")) return "";
  const [first] = tls.certificates;
  // The authority's file; or the certificate itself, which is right for one that signed itself.
  const caFile = tls.authorityFile ?? first?.certFile ?? "";
  return ` --cafile ${shellWord(caFile)}${first?.clientCertificates === "require" ? " --cert client.pem --key client.key" : ""}`;
}

function row(index: number, label: string, text: string, paint: Paint): string {
  return `  ${paint("dim", (index === 0 ? label : "").padEnd(8))} ${text}`;
}
