/**
 * DSCP (six bits, RFC 2474) and ECN (two bits, RFC 3168) of a datagram: the octet that IPv4 calls type of service
 * and IPv6 traffic class. 0 is best effort, not ECN-capable.
 */
const ECN = 0b0000_0011
/** From CS6 on: what routers say to each other, which no data of a client is (RFC 2474 §4.2.2.2, RFC 8325 §8.2). */
const NETWORK_CONTROL = 0b1100_0000

/** What a datagram goes on with (RFC 8656 §14): ECN as it came, DSCP as it came or best effort. */
export function relayedClass(arrived: number, keepDscp: boolean): number {
  return keepDscp && arrived < NETWORK_CONTROL ? arrived : arrived & ECN
}
