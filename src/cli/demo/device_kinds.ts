import type { QoS } from "mqtt-packet";

/** What a simulated device is. One without a topic watches all messages. */
export interface DeviceKind {
  readonly clientId: string;
  readonly version: 3 | 4 | 5;
  /** How often it publishes, or pings. */
  readonly everySeconds: number;
  readonly topic?: string;
  readonly qos?: QoS;
  /** Runs on a battery: connects for each message, and leaves when it is acknowledged. */
  readonly sleeps?: true;
  /** The payload. Phase runs from 0 to 2π in a minute, noise is in [0, 1). */
  readonly read?: (phase: number, noise: number) => string;
}

export const DEVICE_KINDS: readonly DeviceKind[] = [
  { clientId: "dashboard", version: 4, everySeconds: 20 },
  { clientId: "thermometer", version: 4, everySeconds: 1, topic: "demo/kitchen/temperature", qos: 0,
    read: (phase, noise) => `${(21 + 2 * Math.sin(phase) + 0.2 * noise).toFixed(1)} °C` },
  { clientId: "power-meter", version: 5, everySeconds: 1.5, topic: "demo/house/power", qos: 1,
    read: (phase, noise) => `${Math.round(900 + 500 * Math.sin(2 * phase) + 80 * noise)} W` },
  { clientId: "water-tank", version: 3, everySeconds: 2, topic: "demo/garden/water-level", qos: 1,
    read: (phase, noise) => `${Math.round(70 + 20 * Math.cos(phase) + 2 * noise)} %` },
  { clientId: "front-door", version: 4, everySeconds: 3, topic: "demo/house/front-door", qos: 1, sleeps: true,
    read: (_phase, noise) => (noise < 0.5 ? "open" : "closed") },
];
