import { runtime } from "../../src/runtime/net.ts";
import { conformance } from "./conformance.ts";
import { netGaps } from "./gaps.ts";

conformance("the node:net adapter", runtime, netGaps[runtime.name]);
