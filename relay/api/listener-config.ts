import { z } from 'zod'
import { ip, listenPort } from './config-fields.ts'

/** One entry of `listeners`. */
export const listener = z.strictObject({
  protocol: z
    .enum(['udp', 'tcp', 'tls'])
    .describe('What clients speak; tls tells plain TCP apart by the first byte.'),
  address: ip.optional().describe('Literal address to bind. Absent: every address of relay.addresses.'),
  port: listenPort.describe('Port to listen on; 0 lets the system choose one, which the log then names.'),
})
