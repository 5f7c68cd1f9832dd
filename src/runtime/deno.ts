export { runtime } from "./net.ts";
