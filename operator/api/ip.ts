import { z } from 'zod'

const address = z.union([z.ipv4(), z.ipv6()])
const range = z.union([z.cidrv4(), z.cidrv6()])

/** Whether `text` is a literal IP address. */
export function isIpAddress(text: string): boolean {
  return address.safeParse(text).success
}

/** Whether `text` is a literal IP address or a CIDR. */
export function isIpOrCidr(text: string): boolean {
  return isIpAddress(text) || range.safeParse(text).success
}

/** Family of a literal address. */
export function familyOf(literal: string): 'IPv4' | 'IPv6' {
  return literal.includes(':') ? 'IPv6' : 'IPv4'
}
