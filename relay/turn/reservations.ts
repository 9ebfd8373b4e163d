import type { StunCrypto } from '../stun/crypto.ts'
import { readUint32, writeUint32 } from '../stun/wire.ts'
import type { AllocationOwner } from './allocation.ts'
import { type LoopPlace, withLoop } from './loops.ts'
import type { QuotaHolder } from './quota.ts'
import type { RelayAddress } from './relay-ports.ts'
import { Timer } from './timer-wheel.ts'

/** How long a reserved port waits (RFC 8656 §7.2: at least 30 seconds). */
export const RESERVATION_MS = 30_000
/** Bytes of RESERVATION-TOKEN (RFC 8656 §18.10). */
export const TOKEN_BYTES = 8

/** Who reserves a port, and what it counts in. */
export interface ReservationHolder {
  readonly owner: AllocationOwner
  readonly holder: QuotaHolder
}

/** A port that EVEN-PORT with R=1 holds for a later Allocate of the same user (RFC 8656 §7.2). */
export class Reservation extends Timer {
  readonly token: Uint8Array
  readonly owner: AllocationOwner
  readonly holder: QuotaHolder
  readonly address: RelayAddress
  readonly port: number

  constructor(token: Uint8Array, { owner, holder }: ReservationHolder, address: RelayAddress, port: number) {
    super()
    this.token = token
    this.owner = owner
    this.holder = holder
    this.address = address
    this.port = port
  }
}

/** Reservations by token; quotas bound their number. */
export class Reservations {
  readonly #byToken = new Map<string, Reservation>()
  readonly #crypto: StunCrypto
  readonly #loops: LoopPlace

  constructor(crypto: StunCrypto, loops: LoopPlace) {
    this.#crypto = crypto
    this.#loops = loops
  }

  get size(): number {
    return this.#byToken.size
  }

  add(holder: ReservationHolder, address: RelayAddress, port: number): Reservation {
    const token = this.#crypto.randomBytes(TOKEN_BYTES)
    writeUint32(token, 0, withLoop(this.#loops, readUint32(token, 0)))
    const reservation = new Reservation(token, holder, address, port)
    this.#byToken.set(reservation.token.join(), reservation)
    return reservation
  }

  find(token: Uint8Array): Reservation | undefined {
    return this.#byToken.get(token.join())
  }

  remove(reservation: Reservation): void {
    this.#byToken.delete(reservation.token.join())
  }
}
