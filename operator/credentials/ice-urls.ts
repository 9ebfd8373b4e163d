import type { PublishedCluster, PublishedListener, PublishedRelay } from '../controller/contract.ts'

/** `{address}` in a host name. */
const PLACEHOLDER = '{address}'

type Names = Pick<PublishedCluster, 'listeners' | 'tlsName'>

/**
 * The URLs of a relay, best first: UDP, then TCP, then both forms of a TLS port, since a firewall may let plain
 * TCP through on 443 and stop TLS that it cannot look into, or the other way round. Those of the default realm,
 * or of the further one that is named.
 */
export function relayUrls(
  relay: Pick<PublishedRelay, 'addresses' | 'listeners'>,
  cluster: Names,
  realm?: string,
): string[] {
  const listeners = (relay.listeners ?? cluster.listeners)
    .filter((listener) => listener.realm === realm)
    .sort((a, b) => ORDER[a.protocol] - ORDER[b.protocol])
  const urls = relay.addresses.flatMap((address) =>
    listeners.flatMap((listener) => listenerUrls(listener, address, cluster.tlsName)),
  )
  return [...new Set(urls)]
}

/** The host that a `turns:` URL of `address` names: browsers compare it with the certificate. */
export function tlsHost(address: string, tlsName: string | undefined): string {
  return tlsName === undefined ? literalHost(address) : tlsName.replaceAll(PLACEHOLDER, dashed(address))
}

const ORDER = { UDP: 0, TCP: 1, TLS: 2 } as const

function listenerUrls(
  { protocol, port }: PublishedListener,
  address: string,
  tlsName: string | undefined,
): string[] {
  const plain = `turn:${literalHost(address)}:${port}?transport=`
  if (protocol === 'UDP') return [`${plain}udp`]
  if (protocol === 'TCP') return [`${plain}tcp`]
  return [`${plain}tcp`, `turns:${tlsHost(address, tlsName)}:${port}?transport=tcp`]
}

/** RFC 7065 §3.1: an IPv6 literal stands in brackets. */
function literalHost(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}

/** An address as a DNS label; one that would end in a dash gets a 0 there and at its beginning. */
function dashed(address: string): string {
  return address.replaceAll(/[.:]/g, '-').replace(/^-/, '0-').replace(/-$/, '-0')
}
