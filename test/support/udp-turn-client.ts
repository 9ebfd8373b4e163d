import dgram from 'node:dgram'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { METHOD } from '../../relay/stun/methods.ts'
import { StunReader } from '../../relay/stun/reader.ts'
import type { StunWriter } from '../../relay/stun/writer.ts'
import { address, type Heard, hear, type RequestOptions, request } from './turn-harness.ts'

const UDP = 17
/** Between one sending of a request and the next, as long as no answer has come. */
const AGAIN_MS = 250

/** A client on a real UDP socket whose every request a test writes by hand. */
export class UdpTurnClient {
  readonly user: { username: string; password: string }
  nonce: string | undefined
  /** Requests that were sent again. */
  repeated = 0
  readonly #socket = dgram.createSocket('udp4')
  readonly #port: number
  readonly #heard: Heard[] = []
  readonly #data: string[] = []
  readonly #waiters = new Set<() => void>()

  private constructor(port: number, user: UdpTurnClient['user']) {
    this.#port = port
    this.user = user
    this.#socket.on('message', (message) => {
      if ((message[0]! & 0xc0) === 0x40) this.#data.push(message.toString('utf8', 4))
      else this.#heard.push(hear(Uint8Array.from(message)))
      for (const look of [...this.#waiters]) look()
    })
  }

  /** A client of the relay at a port of this host. */
  static async open(t: TestContext, port: number, user: UdpTurnClient['user']): Promise<UdpTurnClient> {
    const client = new UdpTurnClient(port, user)
    client.#socket.bind(0, '127.0.0.1')
    await once(client.#socket, 'listening')
    t.after(() => client.#socket.close())
    return client
  }

  allocate(attributes: (writer: StunWriter) => unknown = () => undefined): Promise<Heard> {
    return this.request(METHOD.Allocate, (writer) => {
      writer.addFirstByte(ATTRIBUTE.RequestedTransport, UDP)
      attributes(writer)
    })
  }

  refresh(lifetime?: number): Promise<Heard> {
    return this.request(METHOD.Refresh, (writer) => {
      if (lifetime !== undefined) writer.addUint32(ATTRIBUTE.Lifetime, lifetime)
    })
  }

  /** A Refresh with a MOBILITY-TICKET. */
  present(ticket: Uint8Array): Promise<Heard> {
    return this.request(METHOD.Refresh, (writer) => writer.addBytes(ATTRIBUTE.MobilityTicket, ticket))
  }

  bind(channel: number, peer: string): Promise<Heard> {
    return this.request(METHOD.ChannelBind, (writer) => {
      writer.addChannelNumber(channel).addXorAddress(ATTRIBUTE.XorPeerAddress, address(peer))
    })
  }

  /** The answer to a request with credentials, after the challenge where there is no nonce yet. */
  async request(method: number, attributes: (writer: StunWriter) => unknown): Promise<Heard> {
    const write = (writer: StunWriter) => void attributes(writer)
    this.nonce ??= (await this.ask(method, { attributes: write })).nonce
    return this.ask(method, { user: this.user, nonce: this.nonce, attributes: write })
  }

  /** Sends a request, again while nothing answers it. */
  async ask(method: number, options: RequestOptions): Promise<Heard> {
    const bytes = request(method, options)
    const id = Buffer.from(bytes.subarray(8, 20)).toString('hex')
    this.send(bytes)
    const again = setInterval(() => {
      this.repeated++
      this.send(bytes)
    }, AGAIN_MS)
    try {
      return await this.#next(this.#heard, (heard) => heard.id === id)
    } finally {
      clearInterval(again)
    }
  }

  send(bytes: Uint8Array): void {
    this.#socket.send(bytes, this.#port, '127.0.0.1')
  }

  /** Sends on a channel, and waits for what comes back on it. */
  echo(channel: number, text: string): Promise<string> {
    const bytes = Buffer.alloc(4 + text.length)
    bytes.writeUInt16BE(channel, 0)
    bytes.writeUInt16BE(text.length, 2)
    bytes.write(text, 4)
    this.send(bytes)
    return this.#next(this.#data, () => true)
  }

  #next<T>(list: T[], isWanted: (one: T) => boolean): Promise<T> {
    return new Promise((resolve) => {
      const look = () => {
        const index = list.findIndex(isWanted)
        if (index < 0) return
        this.#waiters.delete(look)
        resolve(list.splice(index, 1)[0]!)
      }
      this.#waiters.add(look)
      look()
    })
  }
}

/** The MOBILITY-TICKET of an answer. */
export function ticketOf({ bytes }: Heard): Uint8Array {
  const reader = new StunReader()
  reader.read(bytes, 0, bytes.length)
  return reader.value(reader.find(ATTRIBUTE.MobilityTicket)).slice()
}
