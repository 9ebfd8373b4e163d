import { isStream } from '../contract.ts'
import { type Outcome, refuse } from '../outcome.ts'
import { isSameUser } from '../owner.ts'
import type { RequestHandler } from '../request.ts'

/** ConnectionBind: makes the stream it comes on the client's end of a peer data connection (RFC 6062 §5.4). */
export const connectionBind: RequestHandler = {
  needs: 'credentials',
  handle({ core }, { from, link, client, owner }): Outcome {
    if (!isStream(from.transport)) return refuse('bad-request')
    const connection = core.connections.named()
    const mayBind = connection?.state === 'pending' && isSameUser(connection.allocation.owner, owner, false)
    if (!mayBind) return refuse('no-connection')
    // A control connection carries TURN messages only (RFC 6062 §3).
    if (core.table.find(link, client)) return refuse('bad-request')
    core.counters.peerConnections.bound++
    return { kind: 'success', afterwards: () => core.connections.bind(connection, link) }
  },
}
