import { networkInterfaces } from 'node:os'
import type { RelayAddress, RelayConfig } from '../api/config.ts'
import { discoveryAddresses } from '../api/nat-discovery-config.ts'
import type { ListenerOptions } from '../io/io.ts'

/** A public address and the local one behind it. */
export interface AddressPair {
  readonly bind: string
  readonly advertise: string
}

/** Every address of this host, link-local zones left out. */
export function hostAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .map(({ address }) => address)
}

/** Fills in what an address binds to: itself where this host has it, else every address of its family (a 1:1 NAT in front). */
export function withBinds(addresses: readonly RelayAddress[], host: readonly string[]): AddressPair[] {
  return addresses.map(({ bind, advertise }) => ({
    advertise,
    bind: bind ?? (host.includes(advertise) ? advertise : unspecified(advertise)),
  }))
}

/** The listeners of a configuration, each on the address it names or on all that the relay has, and those of NAT discovery. */
export function wantedListeners(
  { listeners, natDiscovery }: Pick<RelayConfig, 'listeners' | 'natDiscovery'>,
  addresses: readonly AddressPair[],
): ListenerOptions[] {
  const binds = [...new Set(addresses.map(({ bind }) => bind))]
  // An unspecified address holds the port on every address of its family.
  const everywhere = binds.filter((bind) => bind === unspecified(bind) || !binds.includes(unspecified(bind)))
  const wanted = listeners.flatMap(({ protocol, address, port, proxyProtocol }) =>
    (address ? [address] : everywhere).map((host) => ({
      protocol,
      address: host,
      port,
      ...(proxyProtocol && { proxyFrom: proxyProtocol.from }),
    })),
  )
  const further = discoveryListeners(natDiscovery, addresses).filter(
    (one) =>
      !wanted.some(
        ({ protocol, address, port }) => protocol === 'udp' && address === one.address && port === one.port,
      ),
  )
  // First, so that a listener on every address leaves them theirs.
  return [...further, ...wanted]
}

/** UDP on both addresses and both ports (RFC 5780 §6). */
function discoveryListeners(
  natDiscovery: RelayConfig['natDiscovery'],
  addresses: readonly AddressPair[],
): ListenerOptions[] {
  return discoveryAddresses(natDiscovery, addresses).flatMap(({ bind }) =>
    (natDiscovery?.ports ?? []).map((port) => ({ protocol: 'udp' as const, address: bind, port })),
  )
}

function unspecified(address: string): string {
  return address.includes(':') ? '::' : '0.0.0.0'
}
