import type { Broker } from "../pool/broker.ts";
import type { ProbeResult } from "../pool/health.ts";
import { ProbeIdentity } from "../pool/probe_identity.ts";
import type { Dial, DialHandler, System } from "../runtime/types.ts";
import type { BrokerAnswer } from "./types.ts";

export interface AskOptions {
  readonly system: Pick<System, "now" | "random">;
  readonly dial: (broker: Broker, handler: DialHandler) => Dial;
  /** When the pool has no health check that says how long. */
  readonly timeoutMs: number;
}

/** Asks a broker once: for a connection, or for an answer to CONNECT where the pool's health check wants one. */
export async function askBroker(broker: Broker, options: AskOptions): Promise<BrokerAnswer> {
  const { health } = broker.pool;
  const begin = options.system.now();
  const timeoutMs = health?.timeoutMs ?? options.timeoutMs;
  const result = health?.probe === "mqtt" ? await askMqtt(broker, options, timeoutMs) : await askTcp(broker, options, timeoutMs);
  const error = result.ok ? undefined : { code: "other" as const, message: result.why, ...result.error };
  const { admin } = broker.state;
  return { pool: broker.pool.name, broker: broker.name, ...(admin !== "ready" && { state: admin }), error, milliseconds: Math.round(options.system.now() - begin) };
}

type Asked = ProbeResult & { readonly error?: BrokerAnswer["error"] };

function askTcp(broker: Broker, { dial }: AskOptions, timeoutMs: number): Promise<Asked> {
  return new Promise((resolve) => {
    const fail = (error: NonNullable<BrokerAnswer["error"]>) => {
      clearTimeout(timer);
      resolve({ ok: false, why: error.message, error, milliseconds: 0 });
    };
    const dialed = dial(broker, {
      opened(connection) {
        clearTimeout(timer);
        connection.reset();
        resolve({ ok: true, code: undefined, milliseconds: 0 });
      },
      failed: fail,
    });
    const timer = setTimeout(() => {
      const { waitingFor } = dialed;
      dialed.cancel();
      fail({ code: "timeout", message: `${broker.name} did not answer within ${timeoutMs} ms${waitingFor === undefined ? "" : `: waited for ${waitingFor}`}` });
    }, timeoutMs);
  });
}

async function askMqtt(broker: Broker, { dial, system }: AskOptions, timeoutMs: number): Promise<Asked> {
  const { healthTalk, Probe } = await import("./probe.ts");
  const clientId = new ProbeIdentity(system.random).next();
  return new Promise((resolve) => {
    const probe = new Probe({
      broker,
      talk: healthTalk(broker.pool.health!, broker, clientId, system.now()),
      dial,
      now: () => system.now(),
      answered(result) {
        clearTimeout(timer);
        resolve(result);
      },
    });
    const timer = setTimeout(() => {
      probe.giveUp();
      resolve({ ok: false, why: `no answer to CONNECT within ${timeoutMs} ms`, error: { code: "timeout", message: `${broker.name} takes a connection, and does not answer CONNECT within ${timeoutMs} ms` }, milliseconds: timeoutMs });
    }, timeoutMs);
  });
}
