import { quote } from "../../config/problem.ts";
import { readServedName, type GivenName } from "../../transport/certificates/given_name.ts";
import { createKey } from "../../transport/certificates/keys.ts";
import { DAYS, makeServerCertificate, SERVER_DAYS_MAX } from "../../transport/certificates/make.ts";
import { usage } from "../arguments.ts";
import type { Context } from "../prepare.ts";
import { reportAll } from "../report.ts";
import { issue } from "./issue.ts";
import { shellWord } from "./shell_word.ts";

/** `sluice cert server <name|address> ...` */
export async function makeServer(context: Context, words: readonly string[]): Promise<number> {
  const names: GivenName[] = [];
  for (const word of words) {
    const name = readServedName(word);
    if (name === undefined) return reportAll(context.reporter, [usage("command line", `cannot use ${quote(word)} as a server's name: expected a DNS name or an IP address, such as gateway.local or 10.0.0.5`)]);
    names.push(name);
  }
  const host = names.find(({ value }) => !value.startsWith("*"))?.value ?? "localhost";
  return issue(context, {
    name: names[0]?.value ?? "",
    days: { usual: DAYS.server, most: SERVER_DAYS_MAX },
    make: (signer, lifetime) => makeServerCertificate(signer, { names, key: createKey(), ...lifetime }),
    hints: ({ ca, cert, key }) => [
      `serve: sluice --listen mqtts://:8883 --cert ${cert} --key ${key} mqtt://10.0.0.5`,
      `try: mosquitto_pub -h ${shellWord(host)} -p 8883 --cafile ${ca} -t try/sluice -m hello`,
    ],
  });
}
