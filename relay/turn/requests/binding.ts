import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import type { Outcome } from '../outcome.ts'
import type { RequestHandler } from '../request.ts'

/** Binding: tells the client the address it is seen at (RFC 8489 §2). */
export const binding: RequestHandler = {
  needs: 'nothing',
  handle(_context, { client }): Outcome {
    return {
      kind: 'success',
      attributes: (writer) => writer.addXorAddress(ATTRIBUTE.XorMappedAddress, client),
    }
  },
}
