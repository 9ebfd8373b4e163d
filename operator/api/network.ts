import { z } from 'zod'

const port = z.int().min(1).max(65535)
const addressSource = z.enum(['NodeAnnotation', 'NodeExternalIP', 'NodeInternalIP'])

const relayPorts = z.object({
  min: port.default(49152).describe('First port of the range.'),
  max: port.default(65535).describe('Last port of the range.'),
})

/** `spec.network` of a TurnCluster. */
export const network = z.object({
  mode: z
    .enum(['HostNetwork'])
    .default('HostNetwork')
    .describe(
      'How relays reach the network. HostNetwork: one relay a node, on the addresses of the node itself.',
    ),
  relayPorts: relayPorts
    .prefault({})
    .describe('UDP ports that allocations are given, on every relay. Each allocation takes one.'),
  addressSources: z
    .array(addressSource)
    .min(1)
    .max(8)
    .default(['NodeAnnotation', 'NodeExternalIP'])
    .describe(
      'Where the public addresses of a relay come from; the first source that has one wins. NodeAnnotation: ' +
        'turnfleet.dev/public-address on the node. NodeExternalIP and NodeInternalIP: the addresses in the status ' +
        'of the node; an internal address is used only when this list names it.',
    ),
  families: z
    .array(z.enum(['IPv4', 'IPv6']))
    .min(1)
    .max(2)
    .default(['IPv4', 'IPv6'])
    .meta({ 'x-kubernetes-list-type': 'set' })
    .describe('Address families that relays offer, where their nodes have them.'),
  dscp: z
    .enum(['Keep', 'Clear'])
    .default('Keep')
    .describe(
      'DSCP of relayed datagrams, where the data path is Batched or Kernel. Keep: the one that they came with, but for those of network control (48 to 63). Clear: all are best effort. ECN is kept in any case (RFC 8656 §14).',
    ),
})
