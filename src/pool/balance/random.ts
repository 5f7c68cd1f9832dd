import type { Broker } from "../broker.ts";
import type { Choice } from "./types.ts";

/** Power of two choices: of two drawn by weight, the one with fewer sessions for its weight; the rest in drawn order. */
export function random(brokers: readonly Broker[], choice: Choice): Broker[] {
  const left = [...brokers];
  const order: Broker[] = [];
  while (left.length > 0) order.push(draw(left, choice));
  const [first, second] = order;
  if (first !== undefined && second !== undefined && second.sessions / second.weight < first.sessions / first.weight) {
    order[0] = second;
    order[1] = first;
  }
  return order;
}

function draw(left: Broker[], choice: Choice): Broker {
  let point = choice.random() * left.reduce((sum, broker) => sum + broker.weight, 0);
  const index = left.findIndex((broker) => (point -= broker.weight) < 0);
  return left.splice(index, 1)[0] as Broker;
}
