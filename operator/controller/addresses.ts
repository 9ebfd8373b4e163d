import type { RelayAddress } from '../../relay/api/config.ts'
import { familyOf, isIpAddress } from '../api/ip.ts'
import type { TurnClusterSpec } from '../api/turn-cluster.ts'
import type { ObservedNode } from './contract.ts'
import { MAX_ADDRESSES } from './limits.ts'

type Source = TurnClusterSpec['network']['addressSources'][number]

/** The public addresses of a relay on `node`: those of the first source that has one of a wanted family. */
export function resolveAddresses(
  node: ObservedNode,
  network: Pick<TurnClusterSpec['network'], 'addressSources' | 'families'>,
): RelayAddress[] {
  for (const source of network.addressSources) {
    const usable = addressesOf(node, source).filter(
      (address) => isIpAddress(address) && network.families.includes(familyOf(address)),
    )
    if (usable.length > 0)
      return [...new Set(usable)].slice(0, MAX_ADDRESSES).map((advertise) => ({ advertise }))
  }
  return []
}

/** Why a node has no public address, and what to do about it. */
export function noAddressMessage(node: ObservedNode, network: TurnClusterSpec['network']): string {
  const bad = node.annotatedAddresses.filter((address) => !isIpAddress(address))
  if (bad.length > 0) return `node ${node.name}: "${bad[0]}" in turnfleet.dev/public-address is no IP address`
  return (
    `node ${node.name} has no ${network.families.join(' or ')} address from ${network.addressSources.join(', ')}: ` +
    'annotate it with turnfleet.dev/public-address, or name another source in network.addressSources'
  )
}

function addressesOf(node: ObservedNode, source: Source): string[] {
  switch (source) {
    case 'NodeAnnotation':
      return node.annotatedAddresses
    case 'NodeExternalIP':
      return node.externalAddresses
    case 'NodeInternalIP':
      return node.internalAddresses
  }
}
