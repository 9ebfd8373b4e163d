import { type Network, parseNetwork } from './network.ts'

/**
 * Addresses that no public peer has (IANA special-purpose registries, RFC 6890), by the name of the rule that
 * refuses them. IPv6 outside 2000::/3 is not global unicast (RFC 4291 §2.4), so it is refused whole.
 */
export const SPECIAL_RULES = {
  'this-network': ['0.0.0.0/8'],
  'private-use': ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'],
  'carrier-nat': ['100.64.0.0/10'],
  loopback: ['127.0.0.0/8', '::1/128'],
  'link-local': ['169.254.0.0/16', 'fe80::/10'],
  'protocol-assignments': ['192.0.0.0/24', '2001::/23'],
  documentation: ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32', '3fff::/20'],
  '6to4': ['192.88.99.0/24', '2002::/16'],
  benchmarking: ['198.18.0.0/15'],
  multicast: ['224.0.0.0/4', 'ff00::/8'],
  reserved: ['240.0.0.0/4'],
  'unique-local': ['fc00::/7'],
  'not-global-unicast': ['::/3', '4000::/2', '8000::/1'],
} as const satisfies Record<string, readonly string[]>

export type SpecialRule = keyof typeof SPECIAL_RULES

/** One block of a rule; where blocks overlap, the more telling one comes first. */
export interface SpecialNetwork {
  readonly rule: SpecialRule
  readonly text: string
  readonly network: Network
}

export const SPECIAL_NETWORKS: readonly SpecialNetwork[] = (
  Object.entries(SPECIAL_RULES) as [SpecialRule, readonly string[]][]
).flatMap(([rule, texts]) => texts.map((text) => ({ rule, text, network: parseNetwork(text) })))
