import { z } from 'zod'
import { ip, network, portRange } from './config-fields.ts'
import { peerPolicyName } from './signed-credential.ts'

/** Whom clients may talk to: the blocks `peers` and `peerPolicies` of a relay's configuration file. */

/** Kubernetes has at most 5000 nodes, each with an address of either family. */
const INTERNAL_MAX = 10_000

const rules = {
  mode: z
    .enum(['public', 'private'])
    .default('public')
    .describe(
      'Whom clients may talk to. public: any global unicast address. private: only what allow names.',
    ),
  allow: z
    .array(network)
    .max(256)
    .default([])
    .describe('Addresses or CIDRs that are allowed although they are refused by default.'),
  deny: z
    .array(network)
    .max(256)
    .default([])
    .describe('Addresses or CIDRs that are refused; wins over allow.'),
}

/** A policy for those whose signed credential names it; hairpin and siblingPorts are those of `peers`. */
export const namedPeerPolicy = z.strictObject({
  name: peerPolicyName.describe('What signed credentials call it.'),
  ...rules,
})

/** The policy for everybody else. */
export const peerPolicy = z.strictObject({
  ...rules,
  tcp: z
    .boolean()
    .default(false)
    .describe(
      'Lets clients connect to TCP peers and be connected to (RFC 6062). No browser does; it makes the relay a way to every TCP service that peers may be, so that it is off where it is not needed.',
    ),
  hairpin: z
    .boolean()
    .default(true)
    .describe(
      'May a live allocation of this relay be a peer, as two clients that both need the relay are to each other.',
    ),
  internal: z
    .array(network)
    .max(INTERNAL_MAX)
    .default([])
    .describe(
      'Addresses or CIDRs that are refused unless an entry of allow is as narrow: pods and services of the cluster that the relay runs in. The operator fills it in.',
    ),
  nodes: z
    .array(ip)
    .max(INTERNAL_MAX)
    .default([])
    .describe(
      'Addresses of which only the ports of relay.ports may be peers, as relays there give those out, unless allow names the very address: the nodes of the cluster. The operator fills it in.',
    ),
  siblingPorts: portRange
    .optional()
    .describe(
      "Relay ports of other relays that share this relay's addresses; they are peers while hairpin is on.",
    ),
})
