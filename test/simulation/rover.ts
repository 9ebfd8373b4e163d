import assert from 'node:assert/strict'
import { TransportAddress } from '../../relay/stun/address.ts'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { readXorAddress } from '../../relay/stun/attributes.ts'
import { METHOD } from '../../relay/stun/methods.ts'
import type { StunReader } from '../../relay/stun/reader.ts'
import type { StunWriter } from '../../relay/stun/writer.ts'
import { HandClient } from './hand-client.ts'
import { at } from './names.ts'
import type { World } from './world.ts'

const LIFETIME_SECONDS = 300
const RENEW_MS = 120_000
/** The old 5-tuple is heard from for so long after a move. */
const LINGER_MS = 3_000

/** What rovers did, to see that a run tested something. */
export interface RoverTally {
  moves: number
  reserved: number
  redeemed: number
  echoes: number
}

/**
 * Somebody who walks from network to network with one allocation (RFC 8016), and reserves a second port that a
 * colleague redeems (RFC 8656 §7.2).
 */
export class Rover {
  readonly #world: World
  readonly #id: number
  readonly #peer: TransportAddress
  readonly #tally: RoverTally
  readonly #user: { readonly username: string; readonly password: string }
  #client: HandClient
  #ticket = new Uint8Array(0)
  #places = 0
  #gone = false
  #sent = 0

  constructor(world: World, id: number, peer: TransportAddress, tally: RoverTally) {
    this.#world = world
    this.#id = id
    this.#peer = peer
    this.#tally = tally
    this.#user = world.restCredential(`rover${id % 3}`)
    this.#client = this.#arriveSomewhere()
    const reserves = world.random.chance(0.5)
    const wish = (writer: StunWriter) => {
      udp(writer).addFlag(ATTRIBUTE.MobilityTicket).addUint32(ATTRIBUTE.Lifetime, LIFETIME_SECONDS)
      if (reserves) writer.addBytes(ATTRIBUTE.EvenPort, Uint8Array.of(0x80))
    }
    this.#client.request(METHOD.Allocate, wish, (answer) => {
      if (answer?.code === 0) this.#start(answer.reader)
      else this.#gone = true
    })
  }

  leave(): void {
    if (this.#gone) return
    this.#gone = true
    if (this.#world.random.chance(0.5)) {
      this.#client.request(
        METHOD.Refresh,
        (writer) => writer.addUint32(ATTRIBUTE.Lifetime, 0),
        () => undefined,
      )
    }
  }

  #start(allocated: StunReader): void {
    this.#keepTicket(allocated)
    const token = attributeIn(allocated, ATTRIBUTE.ReservationToken)
    const relayed = new TransportAddress()
    assert.ok(readXorAddress(allocated, allocated.find(ATTRIBUTE.XorRelayedAddress), relayed))
    if (token) this.#later(this.#world.random.between(0, 40_000), () => this.#redeem(token, relayed))
    this.#renew()
    this.#talk()
    this.#later(this.#world.random.between(10_000, 70_000), () => this.#move())
  }

  /** A ticket that was answered moves the allocation: data from here on comes from the new place. */
  #move(): void {
    const next = this.#arriveSomewhere()
    const ticket = this.#ticket
    next.request(
      METHOD.Refresh,
      (writer) => writer.addBytes(ATTRIBUTE.MobilityTicket, ticket),
      (answer) => {
        if (answer?.code !== 0) {
          this.#gone = true
          return
        }
        this.#tally.moves++
        this.#keepTicket(answer.reader)
        const old = this.#client
        this.#client = next
        this.#talk()
        this.#world.events.after(LINGER_MS, () => old.hangUp())
        this.#later(this.#world.random.between(10_000, 70_000), () => this.#move())
      },
    )
  }

  #redeem(token: Uint8Array, relayed: TransportAddress): void {
    this.#tally.reserved++
    const colleague = this.#arriveSomewhere()
    const wish = (writer: StunWriter) => udp(writer).addBytes(ATTRIBUTE.ReservationToken, token)
    colleague.request(METHOD.Allocate, wish, (answer) => {
      if (answer?.code !== 0) return
      const own = new TransportAddress()
      assert.ok(readXorAddress(answer.reader, answer.reader.find(ATTRIBUTE.XorRelayedAddress), own))
      assert.equal(own.port, relayed.port + 1, 'a token led to another port')
      this.#tally.redeemed++
    })
  }

  #renew(): void {
    const permit = (writer: StunWriter) => writer.addXorAddress(ATTRIBUTE.XorPeerAddress, this.#peer)
    this.#client.request(METHOD.CreatePermission, permit, () => undefined)
    const refresh = (writer: StunWriter) => writer.addUint32(ATTRIBUTE.Lifetime, LIFETIME_SECONDS)
    this.#client.request(METHOD.Refresh, refresh, () => undefined)
    this.#later(RENEW_MS, () => this.#renew())
  }

  #talk(): void {
    this.#client.send(this.#peer, `rover ${this.#id} ${this.#sent++}`)
    this.#later(this.#world.random.between(4_000, 20_000), () => this.#talk())
  }

  #heard(indication: StunReader): void {
    const data = attributeIn(indication, ATTRIBUTE.Data)
    const [who, id] = new TextDecoder().decode(data).split(' ')
    assert.deepEqual([who, id], ['rover', String(this.#id)], 'data for somebody else arrived')
    this.#tally.echoes++
  }

  #arriveSomewhere(): HandClient {
    const address = at(`198.20.${this.#id}.${1 + (this.#places >> 8)}:${1024 + this.#places}`)
    this.#places++
    return new HandClient(this.#world, address, this.#user, (indication) => this.#heard(indication))
  }

  #keepTicket(reader: StunReader): void {
    this.#ticket = attributeIn(reader, ATTRIBUTE.MobilityTicket) ?? this.#ticket
  }

  #later(delayMs: number, act: () => void): void {
    this.#world.events.after(delayMs, () => {
      if (!this.#gone) act()
    })
  }
}

function udp(writer: StunWriter): StunWriter {
  return writer.addFirstByte(ATTRIBUTE.RequestedTransport, 17)
}

function attributeIn(reader: StunReader, attribute: number): Uint8Array<ArrayBuffer> | undefined {
  const index = reader.find(attribute)
  return index < 0 ? undefined : new Uint8Array(reader.value(index))
}
