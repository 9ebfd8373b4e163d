import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import type { Outcome } from '../outcome.ts'
import type { RequestHandler } from '../request.ts'
import { discover } from './nat-discovery.ts'

/** Binding: tells the client the address it is seen at (RFC 8489 §2). */
export const binding: RequestHandler = {
  needs: 'nothing',
  handle({ core }, request): Outcome {
    const site = core.natDiscovery.siteOf(request.from)
    if (site) return discover(core.natDiscovery, site, request)
    return {
      kind: 'success',
      attributes: (writer) => writer.addXorAddress(ATTRIBUTE.XorMappedAddress, request.client),
    }
  },
}
