import { z } from 'zod'

/** Whom clients may talk to: `peers` and `peerPolicies` of a TurnCluster. */

const cidr = z.string().max(64)
const cidrs = z.array(cidr).max(256).default([])
const mode = z
  .enum(['Public', 'Private'])
  .default('Public')
  .describe('Whom clients may talk to. Public: any global unicast address. Private: only what allow names.')
const ALLOW = 'Addresses or CIDRs that are allowed although they are refused by default.'
const DENY = 'Addresses or CIDRs that are refused; wins over allow.'

export const peers = z.object({
  mode,
  allow: cidrs.describe(ALLOW),
  deny: cidrs.describe(DENY),
  tcp: z
    .boolean()
    .default(false)
    .describe(
      'Lets clients connect to TCP peers and be connected to (RFC 6062). No browser does. It needs the relay ports open for TCP too.',
    ),
})

/** A policy for those whose signed credential names it. */
export const namedPeers = z.object({
  name: z
    .string()
    .min(1)
    .max(63)
    .describe('What signed credentials call it: lower-case letters, digits and dashes.'),
  mode,
  allow: z.array(cidr).max(64).default([]).describe(ALLOW),
  deny: z.array(cidr).max(64).default([]).describe(DENY),
})
