import type { Directives } from '../../relay/api/load-report.ts'
import type { Action, PublishedCluster, PublishedRelay } from './contract.ts'
import { MAX_ALTERNATES, reportInterval } from './limits.ts'
import type { ClusterView } from './view.ts'

/** What each relay is told in answer to its next report, once `done` has been performed. */
export function directivesOf(
  { observed, relays }: Pick<ClusterView, 'observed' | 'relays'>,
  done: readonly Action[],
  published: PublishedCluster,
): Map<string, Directives> {
  const deleting = observed.cluster.metadata.deletionTimestamp !== undefined
  const byUid = new Map(
    done.flatMap((a) => (a.kind === 'drain' || a.kind === 'undrain' ? [[a.uid, a.kind]] : [])),
  )
  const leastLoaded = [...published.relays]
    .sort((a, b) => a.allocations - b.allocations || (a.uid < b.uid ? -1 : 1))
    .slice(0, MAX_ALTERNATES + 1)
  const intervalSeconds = reportInterval(relays.length)
  return new Map(
    relays.map(({ relay }) => {
      const change = byUid.get(relay.uid)
      const drain = deleting || relay.terminating || (change ? change === 'drain' : relay.drain !== undefined)
      const alternates = drain ? alternatesFor(leastLoaded, relay.uid, published) : []
      return [relay.uid, { drain, alternates, intervalSeconds }]
    }),
  )
}

function alternatesFor(relays: readonly PublishedRelay[], uid: string, cluster: PublishedCluster) {
  return relays
    .filter((relay) => relay.uid !== uid)
    .flatMap((relay) => {
      const listeners = relay.listeners ?? cluster.listeners
      const listener = listeners.find(({ protocol }) => protocol === 'UDP') ?? listeners[0]
      return relay.addresses.map((address) => ({ address, port: listener?.port ?? 3478 }))
    })
    .slice(0, MAX_ALTERNATES)
}
