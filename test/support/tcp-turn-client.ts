import { once } from 'node:events'
import net from 'node:net'
import type { TestContext } from 'node:test'
import tls from 'node:tls'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { StreamFramer } from '../../relay/stun/framing.ts'
import { METHOD } from '../../relay/stun/methods.ts'
import type { StunWriter } from '../../relay/stun/writer.ts'
import { address, type Heard, hear, type RequestOptions, request } from './turn-harness.ts'

export const TCP_USER = { username: 'alice', password: 'secret' }

interface Way {
  readonly secure: boolean
  readonly user: typeof TCP_USER
}

/** A client of TCP allocations (RFC 6062) on a real socket: the control connection of one, or a data connection. */
export class TcpTurnClient {
  readonly socket: net.Socket
  readonly heard: Heard[] = []
  readonly #context: TestContext
  readonly #port: number
  readonly #way: Way
  readonly #framer = new StreamFramer()
  readonly #onData = (chunk: Buffer): void => this.#read(chunk)
  readonly #waiters = new Set<() => void>()
  #nonce: string | undefined

  private constructor(t: TestContext, port: number, socket: net.Socket, way: Way) {
    this.#way = way
    this.#context = t
    this.#port = port
    this.socket = socket
    socket.on('data', this.#onData)
  }

  static async open(t: TestContext, port: number, secure = false, user = TCP_USER): Promise<TcpTurnClient> {
    const options = { port, host: '127.0.0.1', noDelay: true }
    const socket = secure ? tls.connect({ ...options, rejectUnauthorized: false }) : net.connect(options)
    socket.on('error', () => undefined)
    t.after(() => void socket.destroy())
    await once(socket, secure ? 'secureConnect' : 'connect')
    return new TcpTurnClient(t, port, socket, { secure, user })
  }

  /** The relayed address of a new TCP allocation. */
  async allocate(): Promise<string> {
    const answer = await this.request(METHOD.Allocate, (writer) => {
      writer.addFirstByte(ATTRIBUTE.RequestedTransport, 6)
    })
    return answer.relayed![0]!
  }

  permit(peer: string): Promise<Heard> {
    return this.request(METHOD.CreatePermission, (writer) => writePeer(writer, peer))
  }

  connect(peer: string): Promise<Heard> {
    return this.request(METHOD.Connect, (writer) => writePeer(writer, peer))
  }

  /** The data connection of a connection; `early` is written behind the request. */
  async bind(connection: number, early = ''): Promise<net.Socket> {
    const data = await TcpTurnClient.open(this.#context, this.#port, this.#way.secure, this.#way.user)
    const challenge = await data.#ask(METHOD.ConnectionBind, {})
    const attributes = (writer: StunWriter) => void writer.addUint32(ATTRIBUTE.ConnectionId, connection)
    const bytes = request(METHOD.ConnectionBind, { user: this.#way.user, nonce: challenge.nonce, attributes })
    data.socket.write(Buffer.concat([bytes, Buffer.from(early)]))
    await data.next(({ method, code }) => method === 'ConnectionBind' && code === 0)
    data.socket.off('data', data.#onData)
    data.socket.pause()
    data.socket.unshift(Buffer.from(data.#framer.takeRest()))
    return data.socket
  }

  /** The answer to a request with credentials. */
  async request(method: number, attributes: (writer: StunWriter) => unknown): Promise<Heard> {
    this.#nonce ??= (await this.#ask(method, {})).nonce
    const write = (writer: StunWriter) => void attributes(writer)
    return this.#ask(method, { user: this.#way.user, nonce: this.#nonce, attributes: write })
  }

  /** The first message that is like this, taken out of what was heard. */
  next(isWanted: (heard: Heard) => boolean): Promise<Heard> {
    return new Promise((resolve) => {
      const look = () => {
        const index = this.heard.findIndex(isWanted)
        if (index < 0) return
        this.#waiters.delete(look)
        resolve(this.heard.splice(index, 1)[0]!)
      }
      this.#waiters.add(look)
      look()
    })
  }

  #ask(method: number, options: RequestOptions): Promise<Heard> {
    const bytes = request(method, options)
    const id = Buffer.from(bytes.subarray(8, 20)).toString('hex')
    this.socket.write(bytes)
    return this.next((heard) => heard.id === id)
  }

  #read(chunk: Buffer): void {
    this.#framer.push(chunk, 0, chunk.length)
    for (let frame = this.#nextFrame(); frame; frame = this.#nextFrame()) {
      this.heard.push(hear(Uint8Array.from(frame.buffer.subarray(frame.offset, frame.offset + frame.length))))
    }
    for (const look of [...this.#waiters]) look()
  }

  /** Behind the answer to ConnectionBind there are no frames. */
  #nextFrame() {
    const last = this.heard.at(-1)
    return last?.method === 'ConnectionBind' && last.code === 0 ? undefined : this.#framer.next()
  }
}

function writePeer(writer: StunWriter, peer: string): void {
  writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address(peer))
}
