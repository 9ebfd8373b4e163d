import { z } from 'zod'

/** Addresses of other relays that one relay is told, each once for every protocol of theirs. */
export const ALTERNATES_MAX = 32

/** Where a draining relay sends new clients: one way in to another relay (RFC 8489 §14.15, §14.16). */
export const alternate = z.object({
  address: z.string().describe('Literal address.'),
  port: z.int().min(1).max(65535).describe('Port.'),
  protocol: z
    .enum(['udp', 'tcp', 'tls', 'dtls'])
    .optional()
    .describe('What clients speak there. Absent: UDP and TCP.'),
  domain: z
    .string()
    .max(255)
    .regex(
      /^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*$/,
      'must be a DNS name',
    )
    .optional()
    .describe('Name in its certificate; without one, clients of TLS and DTLS are not sent there.'),
})

export type Alternate = z.infer<typeof alternate>
