import { TransportAddress } from '../../stun/address.ts'
import { AddressMap, NOT_FOUND } from '../../stun/address-map.ts'

/** Clients of one listener that are remembered at once. */
const CLIENTS_MAX = 65_536
/** As long as an allocation may last that nothing is sent for: its longest lifetime, unless configured otherwise. */
const SILENCE_MAX_MS = 3_600_000
/** Places that a new client looks at for one to take over. */
const LOOKS_MAX = 64
/** Places that each new client clears of those who have been silent. */
const SWEEPS = 2

interface ReturnWay {
  readonly client: TransportAddress
  readonly balancer: TransportAddress
  heardAt: number
  /** Heard of more than once since it was last looked at: forged sources rarely are. */
  again: boolean
  used: boolean
}

/** Which balancer each client of a listener is reached by. Bounded: a new client takes the place of a silent one. */
export class ReturnWays {
  readonly #places: AddressMap
  readonly #max: number
  readonly #ways: ReturnWay[] = []
  readonly #free: number[] = []
  #hand = 0

  /** `seed` keeps senders from choosing addresses that collide. */
  constructor(seed: number, max = CLIENTS_MAX) {
    this.#places = new AddressMap(max, seed)
    this.#max = max
  }

  get size(): number {
    return this.#places.size
  }

  get(client: TransportAddress): TransportAddress | undefined {
    const place = this.#places.get(0, client)
    return place === NOT_FOUND ? undefined : this.#ways[place]!.balancer
  }

  /** Notes that a balancer brought a datagram of a client. */
  note(client: TransportAddress, balancer: TransportAddress, now: number): void {
    let place = this.#places.get(0, client)
    if (place === NOT_FOUND) {
      place = this.#newPlace(now)
      const way = this.#ways[place]!
      way.client.copyFrom(client)
      way.again = false
      way.used = true
      this.#places.set(0, client, place)
    } else this.#ways[place]!.again = true
    const way = this.#ways[place]!
    way.balancer.copyFrom(balancer)
    way.heardAt = now
  }

  #newPlace(now: number): number {
    for (let sweep = 0; sweep < SWEEPS && this.#ways.length > 0; sweep++) {
      const place = this.#nextPlace()
      if (this.#isSilent(place, now)) this.#forget(place)
    }
    const free = this.#free.pop()
    if (free !== undefined) return free
    if (this.#ways.length < this.#max) return this.#ways.push(newWay()) - 1
    const taken = this.#placeToTake(now)
    this.#forget(taken)
    return this.#free.pop()!
  }

  #placeToTake(now: number): number {
    for (let look = 1; look < LOOKS_MAX; look++) {
      const place = this.#nextPlace()
      if (this.#isSilent(place, now) || !this.#ways[place]!.again) return place
      this.#ways[place]!.again = false
    }
    return this.#nextPlace()
  }

  #nextPlace(): number {
    this.#hand = (this.#hand + 1) % this.#ways.length
    return this.#hand
  }

  #isSilent(place: number, now: number): boolean {
    const { used, heardAt } = this.#ways[place]!
    return used && now - heardAt > SILENCE_MAX_MS
  }

  #forget(place: number): void {
    const way = this.#ways[place]!
    this.#places.delete(0, way.client)
    way.used = false
    this.#free.push(place)
  }
}

function newWay(): ReturnWay {
  return {
    client: new TransportAddress(),
    balancer: new TransportAddress(),
    heardAt: 0,
    again: false,
    used: false,
  }
}
