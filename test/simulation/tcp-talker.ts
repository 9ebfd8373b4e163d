import assert from 'node:assert/strict'
import { TransportAddress } from '../../relay/stun/address.ts'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { readUint32Value, readXorAddress } from '../../relay/stun/attributes.ts'
import { METHOD } from '../../relay/stun/methods.ts'
import type { StunReader } from '../../relay/stun/reader.ts'
import type { StunWriter } from '../../relay/stun/writer.ts'
import { HandClient } from './hand-client.ts'
import { at } from './names.ts'
import type { World } from './world.ts'

const RENEW_MS = 120_000
const LIFETIME_SECONDS = 300
const PEER_PORTS = 4

/** Somebody with a TCP allocation (RFC 6062): connects to a peer, lets it connect, takes connections up or leaves them. */
export class TcpTalker {
  readonly #world: World
  readonly #id: number
  readonly #peer: TransportAddress
  readonly #user: { readonly username: string; readonly password: string }
  readonly #control: HandClient
  readonly #relayed = new TransportAddress()
  #streams = 0
  #gone = false

  constructor(world: World, id: number, peer: TransportAddress) {
    this.#world = world
    this.#id = id
    this.#peer = peer
    this.#user = world.restCredential(`talker${id % 2}`)
    this.#control = this.#stream((indication) => this.#attempted(indication))
    const wish = (writer: StunWriter) =>
      writer.addFirstByte(ATTRIBUTE.RequestedTransport, 6).addUint32(ATTRIBUTE.Lifetime, LIFETIME_SECONDS)
    this.#control.request(METHOD.Allocate, wish, (answer) => {
      if (answer?.code === 0) this.#start(answer.reader)
      else this.#gone = true
    })
  }

  leave(): void {
    if (this.#gone) return
    this.#gone = true
    if (this.#world.random.chance(0.5)) this.#control.hangUp()
  }

  #start(allocated: StunReader): void {
    assert.ok(readXorAddress(allocated, allocated.find(ATTRIBUTE.XorRelayedAddress), this.#relayed))
    this.#renew()
    this.#act()
  }

  #renew(): void {
    const permit = (writer: StunWriter) => writer.addXorAddress(ATTRIBUTE.XorPeerAddress, this.#peer)
    this.#control.request(METHOD.CreatePermission, permit, () => undefined)
    const refresh = (writer: StunWriter) => writer.addUint32(ATTRIBUTE.Lifetime, LIFETIME_SECONDS)
    this.#control.request(METHOD.Refresh, refresh, () => undefined)
    this.#later(RENEW_MS, () => this.#renew())
  }

  #act(): void {
    const { random } = this.#world
    const peer = this.#peer.clone()
    peer.port = 5000 + random.below(PEER_PORTS)
    if (random.chance(0.5)) this.#world.peerConnects(this.#relayed, peer)
    else {
      const wish = (writer: StunWriter) => writer.addXorAddress(ATTRIBUTE.XorPeerAddress, peer)
      this.#control.request(METHOD.Connect, wish, (answer) => {
        if (answer?.code === 0) this.#attempted(answer.reader)
      })
    }
    this.#later(random.between(2_000, 40_000), () => this.#act())
  }

  /** A connection waits for its ConnectionBind, which may come too late or never. */
  #attempted(told: StunReader): void {
    const index = told.find(ATTRIBUTE.ConnectionId)
    if (index < 0) return
    const id = readUint32Value(told, index)!
    const waits = this.#world.random.pick([0, 100, 5_000, 29_000, 31_000])
    this.#later(waits, () => {
      const data = this.#stream(() => undefined)
      const wish = (writer: StunWriter) => writer.addUint32(ATTRIBUTE.ConnectionId, id)
      data.request(METHOD.ConnectionBind, wish, (answer) => {
        if (answer?.code !== 0) data.hangUp()
      })
    })
  }

  #stream(heard: (indication: StunReader) => void): HandClient {
    const address = at(`198.21.${this.#id}.1:${1024 + this.#streams++}`)
    return new HandClient(this.#world, address, this.#user, heard, 'tcp')
  }

  #later(delayMs: number, act: () => void): void {
    this.#world.events.after(delayMs, () => {
      if (!this.#gone) act()
    })
  }
}
