import type { TransportAddress } from '../../relay/stun/address.ts'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { ERROR } from '../../relay/stun/error-codes.ts'
import { longTermKey } from '../../relay/stun/integrity.ts'
import { CLASS, METHOD } from '../../relay/stun/methods.ts'
import { StunReader } from '../../relay/stun/reader.ts'
import { StunWriter } from '../../relay/stun/writer.ts'
import type { World } from './world.ts'

/** What RFC 8489 §6.2.1 asks for, less some patience. */
const RTO_MS = 500
const SENDS_MAX = 6
const CHALLENGES_MAX = 3
const REALM = 'sim'

/** A response: its reader stays valid. */
export interface Answer {
  /** 0 for success. */
  readonly code: number
  readonly reader: StunReader
}

interface Waiting {
  readonly bytes: Uint8Array
  readonly done: (answer: Answer | undefined) => void
}

/**
 * A TURN client by hand, for what `TurnClient` does not do (mobility, reservations): it retransmits over the bad
 * network and asks again after 401 and 438. A 5-tuple of its own, for as long as it lasts.
 */
export class HandClient {
  readonly address: TransportAddress
  readonly #world: World
  readonly #user: { readonly username: string; readonly password: string }
  readonly #wire: { link: number; send(bytes: Uint8Array): void }
  readonly #heard: (indication: StunReader) => void
  readonly #transport: 'udp' | 'tcp'
  readonly #waiting = new Map<string, Waiting>()
  #nonce: string | undefined

  constructor(
    world: World,
    address: TransportAddress,
    user: { readonly username: string; readonly password: string },
    heard: (indication: StunReader) => void,
    transport: 'udp' | 'tcp' = 'udp',
  ) {
    this.#world = world
    this.address = address
    this.#user = user
    this.#heard = heard
    this.#transport = transport
    this.#wire = world.connect(address, transport, { receive: (bytes) => this.#receive(bytes) })
  }

  /** `done` hears undefined where no answer came. */
  request(
    method: number,
    attributes: (writer: StunWriter) => unknown,
    done: (answer: Answer | undefined) => void,
    challenges = 0,
  ): void {
    const id = this.#world.random.bytes(12)
    const again = (answer: Answer | undefined) => {
      const nonce = answer?.code === ERROR.StaleNonce || (answer?.code === 401 && challenges === 0)
      if (!nonce || challenges === CHALLENGES_MAX || !this.#learn(answer)) done(answer)
      else this.request(method, attributes, done, challenges + 1)
    }
    const name = Buffer.from(id).toString('hex')
    this.#waiting.set(name, { bytes: this.#sign(method, id, attributes), done: again })
    this.#transmit(name, 1)
  }

  send(peer: TransportAddress, text: string): void {
    const writer = new StunWriter().start(METHOD.Send, CLASS.Indication, this.#world.random.bytes(12))
    this.#wire.send(
      writer.addXorAddress(ATTRIBUTE.XorPeerAddress, peer).addText(ATTRIBUTE.Data, text).finish(),
    )
  }

  hangUp(): void {
    this.#waiting.clear()
    this.#world.disconnect(this.#wire.link, this.address)
  }

  #sign(method: number, id: Uint8Array, attributes: (writer: StunWriter) => unknown): Uint8Array {
    const writer = new StunWriter().start(method, CLASS.Request, id)
    attributes(writer)
    if (this.#nonce === undefined) return writer.finish()
    const { crypto } = this.#world
    const { username, password } = this.#user
    writer.addText(ATTRIBUTE.Username, username).addText(ATTRIBUTE.Realm, REALM)
    writer.addText(ATTRIBUTE.Nonce, this.#nonce)
    return writer.finish({ integrityKey: longTermKey(crypto, username, REALM, password), crypto })
  }

  #transmit(name: string, sends: number): void {
    const waiting = this.#waiting.get(name)
    if (!waiting) return
    if (sends > SENDS_MAX) {
      this.#waiting.delete(name)
      waiting.done(undefined)
      return
    }
    if (sends === 1 || this.#transport === 'udp') this.#wire.send(waiting.bytes)
    this.#world.events.after(RTO_MS * 2 ** (sends - 1), () => this.#transmit(name, sends + 1))
  }

  #receive(bytes: Uint8Array): void {
    const reader = new StunReader()
    if (reader.read(bytes, 0, bytes.length) !== 'ok') return
    if (reader.messageClass === CLASS.Indication) {
      this.#heard(reader)
      return
    }
    const name = Buffer.from(bytes.subarray(8, 20)).toString('hex')
    const waiting = this.#waiting.get(name)
    this.#waiting.delete(name)
    const error = reader.find(ATTRIBUTE.ErrorCode)
    const at = reader.valueOffset(error)
    const code = error < 0 ? 0 : bytes[at + 2]! * 100 + bytes[at + 3]!
    waiting?.done({ code, reader })
  }

  #learn(answer: Answer | undefined): boolean {
    const nonce = answer?.reader.find(ATTRIBUTE.Nonce) ?? -1
    if (!answer || nonce < 0) return false
    this.#nonce = new TextDecoder().decode(answer.reader.value(nonce))
    return true
  }
}
