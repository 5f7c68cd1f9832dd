/** `2027-11-22 18:09 UTC`: to the minute, which is what people compare. */
export function dateText(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
