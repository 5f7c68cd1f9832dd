import type * as Library from "@peculiar/x509";

export type X509Library = typeof Library;

/** Loaded where a certificate is made, which hardly ever happens: it is larger than the rest of sluice. */
export async function loadX509Library(): Promise<X509Library> {
  // The library does not start without it.
  await import("reflect-metadata");
  return import("@peculiar/x509");
}
