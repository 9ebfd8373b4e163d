import { type Network, parseNetwork } from './network.ts'

/**
 * Addresses that no public peer has (IANA special-purpose registries, RFC 6890), each with why a relay must
 * not send there. IPv6 outside 2000::/3 is not global unicast (RFC 4291 §2.4), so it is refused whole.
 */
const SPECIAL: readonly (readonly [cidr: string, what: string])[] = [
  ['0.0.0.0/8', 'this network; reaches this host'],
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'carrier-grade NAT; cloud metadata'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local; cloud metadata'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'protocol assignments'],
  ['192.0.2.0/24', 'documentation'],
  ['192.88.99.0/24', '6to4 relay anycast'],
  ['192.168.0.0/16', 'private'],
  ['198.18.0.0/15', 'benchmarking'],
  ['198.51.100.0/24', 'documentation'],
  ['203.0.113.0/24', 'documentation'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved and broadcast'],
  ['::/3', 'unspecified, loopback, IPv4 in IPv6 and NAT64: not global unicast'],
  ['2001::/23', 'Teredo, ORCHID and other protocol assignments'],
  ['2001:db8::/32', 'documentation'],
  ['2002::/16', '6to4'],
  ['3fff::/20', 'documentation'],
  ['4000::/2', 'not global unicast'],
  ['8000::/1', 'unique local, link-local, site-local and multicast: not global unicast'],
]

export const SPECIAL_NETWORKS: readonly Network[] = SPECIAL.map(([cidr]) => parseNetwork(cidr))
