import { z } from 'zod'

/** What several blocks of the relay's configuration file are made of. */

export const port = z.int().min(1).max(65535)
/** 0: the system chooses one; the relay's `ready` log line names it. */
export const listenPort = z.int().min(0).max(65535)
export const portRange = z.strictObject({
  min: port.describe('First port.'),
  max: port.describe('Last port.'),
})
export const ip = z.union([z.ipv4(), z.ipv6()], 'must be a literal IP address')
export const network = z.union(
  [z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()],
  'must be an IP address or a CIDR block',
)

/** A public address of a relay. */
export const relayAddress = z.strictObject({
  bind: ip
    .optional()
    .describe(
      'Literal local address. Absent: advertise where this host has it, else any address of its family.',
    ),
  advertise: ip.describe('Literal address that clients and peers see.'),
})
