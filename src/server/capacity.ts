/** Descriptors kept for everything that is not a session: listeners, files, the runtime's own, a dial that ends late. */
const RESERVED_DESCRIPTORS = 40;
/** Clients over the limit that are still read, so that they get their refusal in MQTT's words; more than these are closed at once. */
export const REFUSED_AT_ONCE_MAX = 24;

/**
 * How many sessions the process can hold: each needs two descriptors. A runtime that runs out of them spins or dies, so the
 * configured limit never counts beyond this.
 */
export function sessionsMax(configured: number, descriptorsMax: number | undefined): number {
  if (descriptorsMax === undefined) return configured;
  return Math.max(1, Math.min(configured, Math.floor((descriptorsMax - RESERVED_DESCRIPTORS - REFUSED_AT_ONCE_MAX) / 2)));
}
