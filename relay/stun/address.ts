/** Address families as STUN writes them (RFC 8489 §14.1: 0x01 IPv4, 0x02 IPv6), named for people. */
export type AddressFamily = 4 | 6

/**
 * An IP address and a port, mutable so that the packet path can reuse one instance.
 *
 * The address is four 32-bit words in network order; IPv4 lives in `w3` with the other words 0, so that
 * maps on the packet path are keyed by numbers and no string is built per packet. The words are signed, as V8
 * keeps no others inside an object: `>>> 0` gives the value of one that is compared by size.
 */
export class TransportAddress {
  family: AddressFamily = 4
  w0 = 0
  w1 = 0
  w2 = 0
  w3 = 0
  port = 0

  /** Sets an IPv4 address from its 32-bit value and a port. */
  set4(ip: number, port: number): this {
    this.family = 4
    this.w0 = 0
    this.w1 = 0
    this.w2 = 0
    this.w3 = ip | 0
    this.port = port
    return this
  }

  /** Sets an IPv6 address from its four 32-bit words (network order) and a port. */
  set6(w0: number, w1: number, w2: number, w3: number, port: number): this {
    this.family = 6
    this.w0 = w0 | 0
    this.w1 = w1 | 0
    this.w2 = w2 | 0
    this.w3 = w3 | 0
    this.port = port
    return this
  }

  copyFrom(other: TransportAddress): this {
    this.family = other.family
    this.w0 = other.w0
    this.w1 = other.w1
    this.w2 = other.w2
    this.w3 = other.w3
    this.port = other.port
    return this
  }

  clone(): TransportAddress {
    return new TransportAddress().copyFrom(this)
  }

  /** Is it 0.0.0.0 or ::? */
  get isUnspecified(): boolean {
    return (this.w0 | this.w1 | this.w2 | this.w3) === 0
  }

  sameIp(other: TransportAddress): boolean {
    return (
      this.family === other.family &&
      this.w3 === other.w3 &&
      this.w2 === other.w2 &&
      this.w1 === other.w1 &&
      this.w0 === other.w0
    )
  }

  equals(other: TransportAddress): boolean {
    return this.port === other.port && this.sameIp(other)
  }
}
