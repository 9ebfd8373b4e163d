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
      .optional()
      .describe(
        'Two addresses of one family, both of this relay. Absent: the first two of relay.addresses that are bound by themselves, IPv4 before IPv6; none where there are no two.',
      ),
    ports: z.array(port).length(2).describe('Two ports, open on both addresses.'),
  })
  .superRefine(({ addresses: [a, b] = [], ports: [p, q] }, context) => {
    const refuse = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message })
    if (p === q) refuse(['ports', 1], 'must differ from the first port')
    if (!a || !b) return
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

type Pair = { readonly bind: string; readonly advertise: string }

/** The two addresses of NAT discovery, by what they are bound to and what clients see; none where it is off (RFC 5780 §6). */
export function discoveryAddresses(
  config: z.infer<typeof natDiscovery> | undefined,
  relayAddresses: readonly { readonly bind?: string | undefined; readonly advertise: string }[],
): Pair[] {
  if (!config) return []
  if (config.addresses) return config.addresses.map(withBind)
  const own = relayAddresses.map(withBind).filter(({ bind }) => bind !== '0.0.0.0' && bind !== '::')
  const each = own.filter(({ bind }, i) => own.findIndex((other) => other.bind === bind) === i)
  const families = [false, true].map((ipv6) => each.filter(({ bind }) => bind.includes(':') === ipv6))
  return families.find((pairs) => pairs.length >= 2)?.slice(0, 2) ?? []
}

function withBind({ bind, advertise }: { bind?: string | undefined; advertise: string }): Pair {
  return { bind: bind ?? advertise, advertise }
}
