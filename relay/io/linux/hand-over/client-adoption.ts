import type { TransportAddress } from '../../../stun/address.ts'
import { HEAD_ROOM_BYTES, TAIL_ROOM_BYTES } from '../../../turn/contract.ts'
import type { Adoption, PassedClient, PassedDatagram, SharedSocket } from '../../adoption.ts'
import type { IoHandler } from '../../io.ts'
import type { Datagrams } from '../datagrams.ts'
import type { Streams } from '../streams/streams.ts'

/** Clients that have come from other loops and have sockets of their own: the kernel looks through those of a port. */
const ADOPTED_MAX = 4_096

interface ClientAdoptionOptions {
  readonly datagrams: Datagrams
  readonly streams: Streams
  readonly handler: () => IoHandler
}

/** Clients that go from one event loop to another: what they send next comes to the loop that has their allocation. */
export class ClientAdoption implements Adoption {
  readonly #options: ClientAdoptionOptions

  constructor(options: ClientAdoptionOptions) {
    this.#options = options
  }

  setListeners(listeners: readonly SharedSocket[]): void {
    this.#options.datagrams.clients.neighbours = listeners
  }

  give(link: number, client: TransportAddress, bytes: Uint8Array): PassedClient | undefined {
    const listener = this.#options.datagrams.listeners.get(link)
    if (!listener) return this.#options.streams.give(link, bytes)
    return { transport: 'udp', local: listener.socket.local, client, bytes }
  }

  adopt(client: PassedClient): void {
    if (client.transport === 'udp') this.#hear(client)
    else {
      this.#options.streams.adopt(client)
      this.#options.handler().batchEnd()
    }
  }

  #hear({ local, client, bytes }: PassedDatagram): void {
    const { datagrams, handler } = this.#options
    const { listeners, clients } = datagrams
    const listener = listeners.all().find(({ udp, socket }) => udp >= 0 && socket.local.equals(local))
    if (!listener || clients.count >= ADOPTED_MAX) return
    const link = listener.udp
    const buffer = new Uint8Array(HEAD_ROOM_BYTES + bytes.length + TAIL_ROOM_BYTES)
    buffer.set(bytes, HEAD_ROOM_BYTES)
    handler().clientData(link, client, buffer, HEAD_ROOM_BYTES, bytes.length, 0)
    handler().batchEnd()
    // Who has proved nothing gets an answer, and nothing else.
    if (handler().hasClient?.(link, client)) clients.adopt(listener, client)
  }
}
