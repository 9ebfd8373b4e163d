import type { StunCrypto } from '../stun/crypto.ts'
import { readUint32, writeUint32 } from '../stun/wire.ts'
import type { LoopPlace } from './loops.ts'

const ENCODER = new TextEncoder()
const MAC_BYTES = 16
/** Relay, machine, loop, allocation, its place in the table, serial. */
const STATE_BYTES = 24

/** Which allocation a ticket is for, and which of its tickets it is. */
export interface TicketState {
  readonly allocation: number
  readonly index: number
  readonly serial: number
}

/** The loop of this relay whose ticket it is. */
interface OtherLoop {
  readonly loop: number
}

/**
 * MOBILITY-TICKETs (RFC 8016 §3.1.2) without a store: the state, encrypted and authenticated with keys that are
 * derived from the fleet's nonce keys (the MAC is also what the key stream is made from, so that equal states
 * make equal tickets and no two others share a key stream). The first key signs, all verify.
 */
export class TicketMint {
  readonly #crypto: StunCrypto
  readonly #loops: LoopPlace
  /** Tells this machine's allocations from those of one that had its place before. */
  readonly #instance: number
  readonly #keys: readonly { readonly mac: Uint8Array; readonly stream: Uint8Array }[]

  constructor(crypto: StunCrypto, keys: readonly Uint8Array[], loops: LoopPlace, instance: number) {
    this.#crypto = crypto
    this.#loops = loops
    this.#instance = instance
    this.#keys = keys.map((key) => ({
      mac: crypto.hmacSha256(key, ENCODER.encode('mobility ticket authentication')),
      stream: crypto.hmacSha256(key, ENCODER.encode('mobility ticket encryption')),
    }))
  }

  issue({ allocation, index, serial }: TicketState): Uint8Array {
    const state = new Uint8Array(STATE_BYTES)
    writeUint32(state, 0, this.#loops.relay)
    writeUint32(state, 4, this.#instance)
    writeUint32(state, 8, this.#loops.own)
    writeUint32(state, 12, allocation)
    writeUint32(state, 16, index)
    writeUint32(state, 20, serial)
    const { mac, stream } = this.#keys[0]!
    const tag = this.#crypto.hmacSha256(mac, state).subarray(0, MAC_BYTES)
    const ticket = new Uint8Array(MAC_BYTES + STATE_BYTES)
    ticket.set(tag)
    ticket.set(xor(state, this.#crypto.hmacSha256(stream, tag)), MAC_BYTES)
    return ticket
  }

  /**
   * What is in a ticket of the fleet: `elsewhere` where another relay made it, or a machine that is no more; undefined
   * where nobody of it did.
   */
  open(ticket: Uint8Array): TicketState | OtherLoop | 'elsewhere' | undefined {
    if (ticket.length !== MAC_BYTES + STATE_BYTES) return undefined
    const tag = ticket.subarray(0, MAC_BYTES)
    for (const { mac, stream } of this.#keys) {
      const state = xor(ticket.subarray(MAC_BYTES), this.#crypto.hmacSha256(stream, tag))
      const expected = this.#crypto.hmacSha256(mac, state).subarray(0, MAC_BYTES)
      if (!this.#crypto.equal(tag, expected)) continue
      if (readUint32(state, 0) !== this.#loops.relay) return 'elsewhere'
      const loop = readUint32(state, 8)
      if (loop !== this.#loops.own) return { loop }
      if (readUint32(state, 4) !== this.#instance) return 'elsewhere'
      return {
        allocation: readUint32(state, 12),
        index: readUint32(state, 16),
        serial: readUint32(state, 20),
      }
    }
    return undefined
  }
}

function xor(data: Uint8Array, stream: Uint8Array): Uint8Array {
  return data.map((byte, i) => byte ^ stream[i]!)
}
