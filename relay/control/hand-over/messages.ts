import { z } from 'zod'
import { ip, port } from '../../api/config-fields.ts'

const PATH_MAX = 108
const SOCKETS_MAX = 2_000
const TEXT_MAX = 1_000
const LOOPS_MAX = 255

/** What the relay says that takes over. */
export const fromSuccessor = z.discriminatedUnion('kind', [
  /** The listeners, please: their descriptors into this box. */
  z.strictObject({ kind: z.literal('take'), box: z.string().max(PATH_MAX) }),
  /** It reads the listeners, and has answered through them. */
  z.strictObject({ kind: z.literal('serving') }),
])
export type FromSuccessor = z.infer<typeof fromSuccessor>

/** What the relay says that hands over. */
export const fromPredecessor = z.discriminatedUnion('kind', [
  /** The descriptors are in the box, in this order. */
  z.strictObject({
    kind: z.literal('passed'),
    sockets: z
      .array(z.strictObject({ transport: z.enum(['udp', 'tcp']), address: ip, port }))
      .max(SOCKETS_MAX),
    cookieSecrets: z.array(z.base64().max(TEXT_MAX)).max(LOOPS_MAX),
  }),
  z.strictObject({ kind: z.literal('refused'), why: z.string().max(TEXT_MAX) }),
  /** The listeners are closed here, and the hand-over socket is free. */
  z.strictObject({ kind: z.literal('yours') }),
])
export type FromPredecessor = z.infer<typeof fromPredecessor>
