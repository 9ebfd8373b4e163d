import type { TransportAddress } from '../stun/address.ts'
import type { StunCrypto } from '../stun/crypto.ts'

/** Random ports that are tried before the range is searched from the last one on. */
const RANDOM_TRIES = 16
/** What a port map takes: a byte for each port. */
export const PORT_MAP_BYTES = 65536
const FREE = 0
/** What a machine without others marks its ports with. */
const SOLE_HOLDER = 1

export interface PortRange {
  readonly min: number
  readonly max: number
}

/**
 * Which ports of a relay address are in use: a byte each, that of the holder. On shared memory, the shards of a
 * relay share it.
 */
export type PortMap = Uint8Array

/** A map without a port in use. */
export function newPortMap(memory: ArrayBufferLike = new ArrayBuffer(PORT_MAP_BYTES)): PortMap {
  return new Uint8Array(memory)
}

/** Frees the ports of a holder that is no more. */
export function releasePortsOf(holder: number, ports: PortMap): void {
  for (let port = 0; port < ports.length; port++) Atomics.compareExchange(ports, port, holder, FREE)
}

/** An address that relayed addresses are made of: what is bound, and what peers see. Ports are handed out here only. */
export class RelayAddress {
  readonly bind: TransportAddress
  readonly advertise: TransportAddress
  readonly #ports: PortMap
  readonly #holder: number

  constructor(
    bind: TransportAddress,
    advertise: TransportAddress,
    ports: PortMap = newPortMap(),
    holder = SOLE_HOLDER,
  ) {
    this.bind = bind
    this.advertise = advertise
    this.#ports = ports
    this.#holder = holder
  }

  /** Is that the IP address, as it is bound or as peers see it? */
  has(address: TransportAddress): boolean {
    return this.advertise.sameIp(address) || this.bind.sameIp(address)
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
    return Atomics.compareExchange(this.#ports, port, FREE, this.#holder) === FREE
  }

  release(port: number): void {
    Atomics.store(this.#ports, port, FREE)
  }

  /** Whether the port is held by an allocation or a reservation, of this machine or another one. */
  isHeld(port: number): boolean {
    return Atomics.load(this.#ports, port) !== FREE
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
