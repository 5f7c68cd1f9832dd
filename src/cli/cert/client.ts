import { quote } from "../../config/problem.ts";
import { readGivenName, type GivenName } from "../../transport/certificates/given_name.ts";
import { createKey } from "../../transport/certificates/keys.ts";
import { DAYS, makeClientCertificate } from "../../transport/certificates/make.ts";
import { usage } from "../arguments.ts";
import type { Context } from "../prepare.ts";
import { reportAll } from "../report.ts";
import { commonNameProblem } from "./common_name.ts";
import { DAYS_MAX } from "./days.ts";
import { issue } from "./issue.ts";

/** `sluice cert client <common name> [name ...]`: whoever checks the certificate knows the device by its common name. */
export async function makeClient(context: Context, [commonName = "", ...words]: readonly string[]): Promise<number> {
  const problem = commonNameProblem("command line", commonName);
  if (problem) return reportAll(context.reporter, [problem]);
  const names: GivenName[] = [];
  for (const word of words) {
    const name = readGivenName(word);
    if (name === undefined) return reportAll(context.reporter, [usage("command line", `cannot use ${quote(word)} as a further name: expected a DNS name, an IP address, an e-mail address or a URI`)]);
    names.push(name);
  }
  return issue(context, {
    name: commonName,
    days: { usual: DAYS.client, most: DAYS_MAX },
    make: (signer, lifetime) => makeClientCertificate(signer, { commonName, names, key: createKey(), ...lifetime }),
    hints: ({ ca, cert, key, isLocal }) => [
      `serve: sluice --listen mqtts://:8883 ${isLocal ? "--tls auto" : "--cert server.pem --key server.key"} --client-ca ${ca} mqtt://10.0.0.5`,
      `try: mosquitto_pub -h localhost -p 8883 --cafile ${ca} --cert ${cert} --key ${key} -t try/sluice -m hello`,
    ],
  });
}
