import { resolveAddresses } from '../addresses.ts'
import type { Action } from '../contract.ts'
import type { PlanRule } from './roles.ts'

/**
 * Tells each relay the public addresses of its node. A relay keeps its last addresses when its node has none any
 * more: whether they still carry traffic is for its check to say.
 */
export const publishAddresses: PlanRule = ({ view: { observed, relays } }) =>
  relays.flatMap(({ relay, node }): Action[] => {
    if (!node || relay.terminating || relay.phase === 'Ended') return []
    const addresses = resolveAddresses(node, observed.cluster.spec.network)
    const [before, after] = [relay.addresses, addresses].map((list) =>
      list.map((a) => a.advertise).join(', '),
    )
    if (addresses.length === 0 || before === after) return []
    const message =
      before === ''
        ? `gives ${relay.name} ${after}`
        : `changes the addresses of ${relay.name} from ${before} to ${after}`
    return [
      {
        kind: 'publish-addresses',
        relay: relay.name,
        uid: relay.uid,
        addresses,
        reason: 'AddressesPublished',
        message,
      },
    ]
  })
