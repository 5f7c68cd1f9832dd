const TOKEN_LENGTH = 9;
/** With it an identifier has 23 characters of letters and digits, which every broker takes: [MQTT-3.1.3-5]. */
const NUMBER_LENGTH = 8;

/** Client ids for probes: no other process and no other probe has the same, so none of them takes over another's session. */
export class ProbeIdentity {
  readonly #token: string;
  #probes = 0;

  /** `random`: in [0, 1). */
  constructor(random: () => number) {
    this.#token = Array.from({ length: TOKEN_LENGTH }, () => Math.floor(random() * 36).toString(36)).join("");
  }

  next(): string {
    this.#probes = (this.#probes + 1) % 36 ** NUMBER_LENGTH;
    return `sluice${this.#token}${this.#probes.toString(36)}`;
  }
}
