import { z } from 'zod'

/** The path of a Unix socket has 107 bytes; the one that descriptors go by has a longer name. */
const PATH_MAX = 90

/** `handOver` of the relay's configuration file. */
export const handOverConfig = z.strictObject({
  socket: z
    .string()
    .min(1)
    .max(PATH_MAX)
    .describe('Path of a Unix socket in a folder that both relays see and nobody else may write to.'),
})

/** Why a relay cannot hand over with this configuration. */
export function handOverProblem(config: {
  readonly handOver?: unknown
  readonly datapath: string
}): string | undefined {
  if (!config.handOver) return undefined
  const { datapath } = config
  return datapath === 'batched' || datapath === 'auto' ? undefined : 'needs datapath: auto or batched'
}
