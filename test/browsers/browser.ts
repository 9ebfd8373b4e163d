import { randomBytes } from 'node:crypto'
import { ERROR } from '../../relay/stun/error-codes.ts'
import type { Endpoint } from '../support/stun-message.ts'
import { address, type Heard, REALM, type Sent, type TurnHarness, USER } from '../support/turn-harness.ts'
import type { BrowserPackets, Who } from './packets.ts'

/** Where a browser is: its 5-tuple. */
export interface Place {
  readonly harness: TurnHarness
  readonly from: string
  readonly link: number
}

/** The TURN client of a browser: what it sends when, and what it makes of the answers. */
export class Browser {
  readonly packets: BrowserPackets
  place: Place
  user = USER
  nonce = ''
  relayed: string | undefined
  lifetimeSeconds = 0

  constructor(packets: BrowserPackets, harness: TurnHarness, from = '198.51.100.7:4000', link = 1) {
    this.packets = packets
    this.place = { harness, from, link }
  }

  get who(): Who {
    return { ...this.user, realm: REALM, nonce: this.nonce }
  }

  /** 401 to the first Allocate, and the answer to the second, which is final: neither 401 nor 438 is tried again. */
  allocate(): Heard | undefined {
    const challenge = this.say(this.packets.allocate(randomBytes(12)))
    if (challenge?.code !== ERROR.Unauthenticated) return challenge
    this.nonce = challenge.nonce ?? ''
    return this.allocateAgain()
  }

  allocateAgain(): Heard | undefined {
    const answer = this.say(this.packets.allocate(randomBytes(12), this.who))
    if (answer?.code === 0) {
      this.relayed = answer.relayed?.[0]
      this.lifetimeSeconds = answer.lifetime ?? 0
    }
    return answer
  }

  refresh(lifetimeSeconds?: number): Heard | undefined {
    return this.authentic((id) => this.packets.refresh(id, this.who, lifetimeSeconds))
  }

  permit(peer: string): Heard | undefined {
    return this.authentic((id) => this.packets.createPermission(id, this.who, endpoint(peer)))
  }

  bind(channel: number, peer: string): Heard | undefined {
    return this.authentic((id) => this.packets.channelBind(id, this.who, channel, endpoint(peer)))
  }

  /** A Send indication; what leaves for the peer. */
  send(peer: string, data: string): Sent | undefined {
    const { harness, from, link } = this.place
    return harness.fromClient(
      from,
      this.packets.send(randomBytes(12), endpoint(peer), Buffer.from(data)),
      link,
    )
  }

  /** ChannelData, padded over streams. */
  sendChannel(channel: number, data: string, padding = 0): Sent | undefined {
    const { harness, from, link } = this.place
    const bytes = Buffer.alloc(4 + data.length + padding)
    bytes.writeUInt16BE(channel, 0)
    bytes.writeUInt16BE(data.length, 2)
    bytes.write(data, 4)
    return harness.fromClient(from, bytes, link)
  }

  /** What a peer's datagram becomes on its way to the browser. */
  hear(peer: string, data: string): Sent | undefined {
    return this.relayed === undefined ? undefined : this.place.harness.fromPeer(this.relayed, peer, data)
  }

  /** A request after the Allocate: a 438 is answered by one retry with the new nonce. */
  authentic(build: (id: Uint8Array) => Buffer): Heard | undefined {
    const answer = this.say(build(randomBytes(12)))
    if (answer?.code !== ERROR.StaleNonce) return answer
    this.nonce = answer.nonce ?? ''
    return this.say(build(randomBytes(12)))
  }

  say(bytes: Uint8Array): Heard | undefined {
    const { harness, from, link } = this.place
    harness.fromClient(from, bytes, link)
    return harness.drain().at(-1)
  }
}

function endpoint(text: string): Endpoint {
  const { port } = address(text)
  return { ip: text.slice(0, text.lastIndexOf(':')).replace(/^\[|\]$/g, ''), port }
}
