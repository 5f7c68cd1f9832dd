import { runtime } from "#runtime";
import { conformance } from "./conformance.ts";
import { nativeGaps } from "./gaps.ts";

conformance("the native adapter", runtime, nativeGaps[runtime.name]);
