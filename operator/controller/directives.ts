import { ALTERNATES_MAX, type Alternate } from '../../relay/api/alternate.ts'
import type { Directives } from '../../relay/api/load-report.ts'
import { tlsHost } from '../credentials/ice-urls.ts'
import type { Action, PublishedCluster, PublishedListener, PublishedRelay } from './contract.ts'
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

/** Every way in to the other relays, least loaded first. */
function alternatesFor(
  relays: readonly PublishedRelay[],
  uid: string,
  cluster: PublishedCluster,
): Alternate[] {
  return relays
    .filter((relay) => relay.uid !== uid)
    .flatMap((relay) =>
      relay.addresses.flatMap((address) =>
        waysIn(address, relay.listeners ?? cluster.listeners, cluster.tlsName),
      ),
    )
    .slice(0, ALTERNATES_MAX)
}

/** Those of the default realm. A TLS listener takes plain TCP too. Who follows to it must know the name in its certificate. */
function waysIn(
  address: string,
  listeners: readonly PublishedListener[],
  tlsName: string | undefined,
): Alternate[] {
  const way = (wanted: PublishedListener['protocol']) =>
    listeners.find(({ protocol, realm }) => protocol === wanted && realm === undefined)
  const udp = way('UDP')
  const tls = way('TLS')
  const tcp = way('TCP') ?? tls
  const domain = tlsName === undefined ? {} : { domain: tlsHost(address, tlsName) }
  return [
    ...(udp ? [{ address, port: udp.port, protocol: 'udp' as const }] : []),
    ...(tcp ? [{ address, port: tcp.port, protocol: 'tcp' as const }] : []),
    ...(tls ? [{ address, port: tls.port, protocol: 'tls' as const, ...domain }] : []),
  ]
}
