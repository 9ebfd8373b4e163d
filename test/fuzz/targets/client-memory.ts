import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import type { StunReader } from '../../../relay/stun/reader.ts'

/** Tickets that are kept to be presented. */
const TICKETS_MAX = 8

/** What fuzzed clients were given, and may show to the server again. */
export class ClientMemory {
  token: Uint8Array = new Uint8Array(8)
  /** A forged one, and those that clients were given last. */
  readonly tickets: Uint8Array[] = [new Uint8Array(32)]

  learn(response: StunReader): void {
    const token = response.find(ATTRIBUTE.ReservationToken)
    if (token >= 0) this.token = response.value(token).slice()
    const ticket = response.find(ATTRIBUTE.MobilityTicket)
    if (ticket < 0) return
    this.tickets.push(response.value(ticket).slice())
    if (this.tickets.length > TICKETS_MAX) this.tickets.splice(1, 1)
  }
}
