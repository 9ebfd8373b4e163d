import type { IceServer } from '../credentials/issue.ts'
import type { ClusterView } from '../http/cluster-view.ts'

export interface GreetingOptions {
  url: string
  clusters: readonly ClusterView[]
  iceServers: readonly IceServer[]
  ttlSeconds: number
  /** From the start of this process until an allocation carried data. */
  firstAllocationSeconds: number
}

/** What a person sees once the fleet serves: where things are, and something to paste. */
export function greeting({
  url,
  clusters,
  iceServers,
  ttlSeconds,
  firstAllocationSeconds,
}: GreetingOptions): string {
  const relays = clusters.flatMap(({ key, relays }) =>
    relays
      .filter(({ state }) => state === 'Ready')
      .map(({ name, addresses, listeners }) => {
        const ways = listeners.map(({ protocol, port }) => `${protocol} ${port}`).join(' · ')
        return `  ${key.split('/')[0]}/${name}  ${addresses.join(', ')}  ${ways}`
      }),
  )
  const onlyHere = clusters.every((cluster) => cluster.relays.every(isOnlyHere))
  return [
    '',
    `The fleet serves. First allocation ${firstAllocationSeconds.toFixed(1)} s after the start.`,
    ...relays,
    ...(onlyHere
      ? ['  Only this machine reaches them: name an address that clients reach with --address ADDRESS.']
      : []),
    '',
    `Console  ${url}/`,
    `Check    ${url}/#check   shows whether a browser gets through by UDP, TCP and TLS`,
    '',
    `To paste (good for ${duration(ttlSeconds)}; your server asks POST ${url}/v1/ice for each user):`,
    '',
    `const iceServers = ${JSON.stringify(iceServers, null, 2)}`,
    '',
  ].join('\n')
}

function isOnlyHere({ addresses }: { addresses: string[] }): boolean {
  return addresses.every((address) => address.startsWith('127.') || address === '::1')
}

function duration(seconds: number): string {
  return seconds >= 7200 ? `${Math.floor(seconds / 3600)} hours` : `${Math.floor(seconds / 60)} minutes`
}
