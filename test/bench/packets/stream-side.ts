import type { StreamClient } from '../../../relay/io/linux/testing/stream-client.ts'
import { StreamFramer } from '../../../relay/stun/framing.ts'
import type { ClientSide, DatagramHandler } from './socket-loop.ts'

/** What one turn may gather: one write of it is one record of TLS, or a few. */
const GATHER_BYTES = 60_000

/** A client with a stream: what it sends in one turn leaves as one write, and what comes is cut into frames. */
export class StreamSide implements ClientSide {
  readonly #client: StreamClient
  readonly #handler: DatagramHandler
  readonly #unsent: StreamSide[]
  readonly #framer = new StreamFramer()
  #gather = new Uint8Array(4096)
  #gathered = 0

  /** Puts itself into `unsent` when it is to `flush`. */
  constructor(client: StreamClient, handler: DatagramHandler, unsent: StreamSide[]) {
    this.#client = client
    this.#handler = handler
    this.#unsent = unsent
  }

  send(bytes: Uint8Array): void {
    const end = this.#gathered + bytes.length
    if (end > GATHER_BYTES) return
    if (end > this.#gather.length) this.#grow(end)
    if (this.#gathered === 0) this.#unsent.push(this)
    this.#gather.set(bytes, this.#gathered)
    this.#gathered = end
  }

  /** Frames are lost where the stream takes no more. */
  flush(): void {
    this.#client.send(this.#gather.subarray(0, this.#gathered))
    this.#gathered = 0
  }

  receive(): void {
    this.#client.receive((bytes, offset, length) => {
      this.#framer.push(bytes, offset, length)
      for (let frame = this.#framer.next(); frame; frame = this.#framer.next())
        this.#handler.datagram(frame.buffer, frame.offset, frame.length)
      if (this.#framer.failed) throw new Error('the server sends no frames')
    })
  }

  close(): void {
    this.#client.close()
  }

  #grow(length: number): void {
    const grown = new Uint8Array(Math.min(GATHER_BYTES, length * 2))
    grown.set(this.#gather.subarray(0, this.#gathered))
    this.#gather = grown
  }
}
