import { z } from 'zod'
import { ip, listenPort, network } from './config-fields.ts'
import { realmName } from './realm-config.ts'

/** One entry of `listeners`. */
export const listener = z.strictObject({
  protocol: z
    .enum(['udp', 'tcp', 'tls', 'dtls'])
    .describe(
      'What clients speak. tls tells plain TCP apart by the first byte; a dtls listener may have the port of a udp one. dtls is served on Linux, not by datapath portable.',
    ),
  address: ip.optional().describe('Literal address to bind. Absent: every address of relay.addresses.'),
  port: listenPort.describe('Port to listen on; 0 lets the system choose one, which the log then names.'),
  realm: realmName
    .optional()
    .describe('Realm that clients which come to this port are challenged for. Absent: the default one.'),
  proxyProtocol: z
    .strictObject({
      from: z
        .array(network)
        .min(1)
        .max(64)
        .describe(
          'Addresses or CIDRs of the balancers. From them everything must have a header, from others nothing.',
        ),
    })
    .optional()
    .describe(
      'Load balancers in front that say who the client is by the PROXY protocol, version 2: in front of a connection, before TLS; over UDP in front of each datagram. Absent: none.',
    ),
})
