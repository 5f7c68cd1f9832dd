import { runtime } from "#runtime";
import { conformance } from "./conformance.ts";

conformance("the native adapter", runtime);
