import type { DemoBroker } from "./broker.ts";
import type { Screen } from "./screen.ts";

/** In seconds of the demo: when the first broker stops, for how long, and when the next one does. */
const FIRST = 4;
const LENGTH = 4;
const EVERY = 30;

/** Stops the second broker, then the first, and so on, one at a time; the returned function ends that. */
export function beginOutages([first, second]: readonly [DemoBroker, DemoBroker], screen: Screen, secondMs: number): () => Promise<void> {
  let step = Promise.resolve();
  let timer = setTimeout(() => stop(second, first), FIRST * secondMs);

  function stop(broker: DemoBroker, other: DemoBroker): void {
    screen.event("yellow", `broker ${broker.name} stops: its clients have to come back, on broker ${other.name}`);
    step = broker.stop();
    timer = setTimeout(() => resume(broker, other), LENGTH * secondMs);
  }
  function resume(broker: DemoBroker, other: DemoBroker): void {
    timer = setTimeout(() => stop(other, broker), (EVERY - LENGTH) * secondMs);
    step = step.then(() => broker.resume()).then(
      () => screen.event("green", `broker ${broker.name} is back: new clients can go there 10 s after it last failed`),
      (error: Error) => {
        clearTimeout(timer); // now the other one has to stay
        screen.event("red", `broker ${broker.name} cannot come back: ${error.message}`);
      },
    );
  }
  return () => {
    clearTimeout(timer);
    return step;
  };
}
