import { z } from 'zod'

/** `update` of a TurnCluster: how relays are replaced that cannot take a change over live. */
export const update = z.object({
  strategy: z
    .enum(['Surge', 'HandOver'])
    .default('Surge')
    .describe(
      'Surge: the new relay needs a node of its own, and where none is free an old one drains first. HandOver: it starts on the node of the old one and takes its listening sockets, while the old one keeps its calls to their end; no node has to be free, no packet is lost and no client refused. Relays then have a folder of the node in common (hostPath /run/turnfleet), which a container that is root prepares, and declare no ports but their own control port to the scheduler; the old ones must have been started with HandOver as well.',
    ),
})
