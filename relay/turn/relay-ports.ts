import type { TransportAddress } from '../stun/address.ts'
import type { StunCrypto } from '../stun/crypto.ts'

/** Random ports that are tried before the range is searched from the last one on. */
const RANDOM_TRIES = 16
const PORTS = 65536
const FREE = 0
const HELD = 1

export interface PortRange {
  readonly min: number
  readonly max: number
}

/** Which ports of a relay address are in use, a byte each; on shared memory, the shards of a relay share it. */
export type PortMap = Uint8Array

/** An address that relayed addresses are made of: what is bound, and what peers see. Ports are handed out here only. */
export class RelayAddress {
  readonly bind: TransportAddress
  readonly advertise: TransportAddress
  readonly #ports: PortMap

  constructor(bind: TransportAddress, advertise: TransportAddress, ports: PortMap = new Uint8Array(PORTS)) {
    this.bind = bind
    this.advertise = advertise
    this.#ports = ports
  }

  /** A free port of the range that is held from now on, or undefined when none is left (RFC 6056 §3.3.2: random, then the next). */
  acquire(range: PortRange, crypto: StunCrypto): number | undefined {
    return this.#search(range, 1, crypto)
  }

  /** A free even port (RFC 8656 §18.7); with `pair`, the port after it is held too. */
  acquireEven(range: PortRange, pair: boolean, crypto: StunCrypto): number | undefined {
    const even = { min: range.min + (range.min % 2), max: pair ? range.max - 1 : range.max }
    return this.#search(even, 2, crypto, pair)
  }

  /** Takes this port; false when it is held. */
  hold(port: number): boolean {
    return Atomics.compareExchange(this.#ports, port, FREE, HELD) === FREE
  }

  release(port: number): void {
    Atomics.store(this.#ports, port, FREE)
  }

  /** Whether the port is held by an allocation or a reservation. */
  isHeld(port: number): boolean {
    return Atomics.load(this.#ports, port) === HELD
  }

  #search(range: PortRange, step: number, crypto: StunCrypto, pair = false): number | undefined {
    const count = Math.floor((range.max - range.min) / step) + 1
    if (count <= 0) return undefined
    let index = 0
    for (let tries = 0; tries < RANDOM_TRIES; tries++) {
      index = randomBelow(count, crypto)
      if (this.#holdOneOrTwo(range.min + index * step, pair)) return range.min + index * step
    }
    for (let i = 1; i < count; i++) {
      const port = range.min + ((index + i) % count) * step
      if (this.#holdOneOrTwo(port, pair)) return port
    }
    return undefined
  }

  #holdOneOrTwo(port: number, pair: boolean): boolean {
    if (!this.hold(port)) return false
    if (!pair || this.hold(port + 1)) return true
    this.release(port)
    return false
  }
}

/** 32 random bits over at most 65536 values: the bias is below 1 in 65536. */
function randomBelow(count: number, crypto: StunCrypto): number {
  const bytes = crypto.randomBytes(4)
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) % count
}
