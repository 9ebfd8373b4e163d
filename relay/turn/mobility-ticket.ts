import type { StunCrypto } from '../stun/crypto.ts'
import { readUint32, writeUint32 } from '../stun/wire.ts'

const ENCODER = new TextEncoder()
const MAC_BYTES = 16
/** Instance, allocation, its place in the table, serial. */
const STATE_BYTES = 16

/** Which allocation a ticket is for, and which of its tickets it is. */
export interface TicketState {
  readonly allocation: number
  readonly index: number
  readonly serial: number
}

/**
 * MOBILITY-TICKETs (RFC 8016 §3.1.2) without a store: the state, encrypted and authenticated with keys that are
 * derived from the fleet's nonce keys (the MAC is also what the key stream is made from, so that equal states
 * make equal tickets and no two others share a key stream). The first key signs, all verify.
 */
export class TicketMint {
  readonly #crypto: StunCrypto
  /** Tells this machine's allocations from another relay's. */
  readonly #instance: number
  readonly #keys: readonly { readonly mac: Uint8Array; readonly stream: Uint8Array }[]

  constructor(crypto: StunCrypto, keys: readonly Uint8Array[], instance: number) {
    this.#crypto = crypto
    this.#instance = instance
    this.#keys = keys.map((key) => ({
      mac: crypto.hmacSha256(key, ENCODER.encode('mobility ticket authentication')),
      stream: crypto.hmacSha256(key, ENCODER.encode('mobility ticket encryption')),
    }))
  }

  issue({ allocation, index, serial }: TicketState): Uint8Array {
    const state = new Uint8Array(STATE_BYTES)
    writeUint32(state, 0, this.#instance)
    writeUint32(state, 4, allocation)
    writeUint32(state, 8, index)
    writeUint32(state, 12, serial)
    const { mac, stream } = this.#keys[0]!
    const tag = this.#crypto.hmacSha256(mac, state).subarray(0, MAC_BYTES)
    const ticket = new Uint8Array(MAC_BYTES + STATE_BYTES)
    ticket.set(tag)
    ticket.set(xor(state, this.#crypto.hmacSha256(stream, tag)), MAC_BYTES)
    return ticket
  }

  /** What is in a ticket of the fleet: `elsewhere` where another relay made it; undefined where nobody of it did. */
  open(ticket: Uint8Array): TicketState | 'elsewhere' | undefined {
    if (ticket.length !== MAC_BYTES + STATE_BYTES) return undefined
    const tag = ticket.subarray(0, MAC_BYTES)
    for (const { mac, stream } of this.#keys) {
      const state = xor(ticket.subarray(MAC_BYTES), this.#crypto.hmacSha256(stream, tag))
      const expected = this.#crypto.hmacSha256(mac, state).subarray(0, MAC_BYTES)
      if (!this.#crypto.equal(tag, expected)) continue
      if (readUint32(state, 0) !== this.#instance) return 'elsewhere'
      return { allocation: readUint32(state, 4), index: readUint32(state, 8), serial: readUint32(state, 12) }
    }
    return undefined
  }
}

function xor(data: Uint8Array, stream: Uint8Array): Uint8Array {
  return data.map((byte, i) => byte ^ stream[i]!)
}
