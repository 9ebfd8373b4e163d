import { z } from 'zod'
import { ip, port } from './config-fields.ts'

/** The block `natDiscovery`: where clients learn how their NAT behaves (RFC 5780). */
export const natDiscovery = z
  .strictObject({
    addresses: z
      .array(
        z.strictObject({
          bind: ip.optional().describe('Literal local address. Absent: advertise.'),
          advertise: ip.describe('Literal address that clients see.'),
        }),
      )
      .length(2)
      .describe('Two addresses of one family, both of this relay.'),
    ports: z.array(port).length(2).describe('Two ports, open on both addresses.'),
  })
  .superRefine(({ addresses: [a, b], ports: [p, q] }, context) => {
    const refuse = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message })
    if (!a || !b) return
    if (p === q) refuse(['ports', 1], 'must differ from the first port')
    if (a.advertise === b.advertise)
      refuse(['addresses', 1, 'advertise'], 'must differ from the first address')
    if ((a.bind ?? a.advertise) === (b.bind ?? b.advertise)) {
      refuse(['addresses', 1, 'bind'], 'must differ from that of the first address')
    }
    const texts = [a.advertise, b.advertise, a.bind ?? a.advertise, b.bind ?? b.advertise]
    if (new Set(texts.map((text) => text.includes(':'))).size > 1) {
      refuse(['addresses'], 'must be of one family')
    }
    if (texts.some((text) => text === '0.0.0.0' || text === '::')) {
      refuse(['addresses'], 'must be addresses of their own, not 0.0.0.0 or ::')
    }
  })
