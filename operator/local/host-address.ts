import { BlockList, isIPv4, isIPv6 } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import type { ObservedNode } from '../controller/contract.ts'

/** IPv4 networks that are not reachable from the internet (RFC 6890 and its updates). */
const NOT_PUBLIC_IPV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '224.0.0.0/3',
]
const IPV4 = blockList(NOT_PUBLIC_IPV4, 'ipv4')
/** Global unicast is 2000::/3 (RFC 4291 §2.4), without documentation, Teredo and 6to4. */
const GLOBAL_IPV6 = blockList(['2000::/3'], 'ipv6')
const NOT_PUBLIC_IPV6 = blockList(['2001:db8::/32', '2001::/32', '2002::/16', '3fff::/20'], 'ipv6')

export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !IPV4.check(address, 'ipv4')
  return isIPv6(address) && GLOBAL_IPV6.check(address, 'ipv6') && !NOT_PUBLIC_IPV6.check(address, 'ipv6')
}

/**
 * This machine as a node of the fleet. `given` are the addresses that its user names; without them it has the
 * public ones of its interfaces, and without those only itself can reach it, at 127.0.0.1.
 */
export function thisMachine(given: readonly string[]): ObservedNode {
  const own = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal }) => !internal)
    .map(({ address }) => address)
  const external = own.filter(isPublicAddress)
  const annotated = given.length > 0 ? [...given] : external.length > 0 ? [] : ['127.0.0.1']
  return {
    name: hostname(),
    ready: true,
    annotatedAddresses: annotated,
    externalAddresses: given.length > 0 ? [] : external,
    internalAddresses: own.filter((address) => isIPv4(address) && !external.includes(address)),
  }
}

function blockList(cidrs: readonly string[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const [network = '', prefix] = cidr.split('/')
    list.addSubnet(network, Number(prefix), family)
  }
  return list
}
