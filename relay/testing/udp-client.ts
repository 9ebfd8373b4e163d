import dgram from 'node:dgram'
import { once } from 'node:events'
import type { ClientEvent } from '../client/contract.ts'
import { TurnClient } from '../client/turn-client.ts'
import { nodeCrypto } from '../io/node-crypto.ts'
import type { TransportAddress } from '../stun/address.ts'
import { parseAddress } from '../stun/address-text.ts'

export interface UdpClientOptions {
  readonly host?: string
  readonly port: number
  readonly username?: string
  readonly password?: string
}

/** A TURN client on a real UDP socket that a test can await. */
export class UdpClient {
  readonly turn: TurnClient
  readonly #socket: dgram.Socket
  readonly #server: { host: string; port: number }
  readonly #events: (ClientEvent & { readonly text: string })[] = []
  readonly #waiters = new Set<() => void>()
  #timer: NodeJS.Timeout | undefined

  constructor({ host = '127.0.0.1', port, username = 'user', password = 'password' }: UdpClientOptions) {
    this.#server = { host, port }
    this.turn = new TurnClient({ transport: 'udp', username, password, crypto: nodeCrypto })
    this.#socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4')
    this.#socket.on('message', (message) => {
      this.turn.handleData(message, 0, message.length, performance.now())
      this.#pump()
    })
  }

  async open(): Promise<this> {
    this.#socket.bind(0, this.#server.host)
    await once(this.#socket, 'listening')
    return this
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#socket.close()
  }

  /** The relayed address; rejects with the code of a refusal. */
  async allocate(lifetimeSeconds?: number): Promise<TransportAddress> {
    this.turn.allocate(performance.now(), lifetimeSeconds === undefined ? {} : { lifetimeSeconds })
    const { relayed } = await this.next('allocated')
    return relayed[0]!
  }

  async refresh(lifetimeSeconds?: number): Promise<void> {
    this.turn.refresh(performance.now(), lifetimeSeconds)
    await this.next(lifetimeSeconds === 0 ? 'closed' : 'refreshed')
  }

  async permit(peer: TransportAddress): Promise<void> {
    this.turn.createPermission(performance.now(), [peer])
    await this.next('permitted')
  }

  async bindChannel(channel: number, peer: TransportAddress): Promise<void> {
    this.turn.bindChannel(performance.now(), channel, peer)
    await this.next('bound')
  }

  /** Sends to a peer and waits for what comes back through the relay. */
  async echo(peer: TransportAddress, text: string): Promise<string> {
    this.turn.sendIndication(peer, Buffer.from(text))
    return (await this.next('data')).text
  }

  next<K extends ClientEvent['kind']>(
    kind: K,
  ): Promise<Extract<ClientEvent, { kind: K }> & { text: string }> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const event = this.#events.shift()
        if (!event) return
        this.#waiters.delete(look)
        if (event.kind === kind) resolve(event as Extract<ClientEvent, { kind: K }> & { text: string })
        else
          reject(
            new Error(`${event.kind} instead of ${kind}${event.kind === 'failed' ? ` (${event.code})` : ''}`),
          )
      }
      this.#waiters.add(look)
      this.#pump()
    })
  }

  #pump(): void {
    for (let bytes = this.turn.nextTransmit(); bytes; bytes = this.turn.nextTransmit()) {
      this.#socket.send(bytes, this.#server.port, this.#server.host)
    }
    for (let event = this.turn.nextEvent(); event; event = this.turn.nextEvent()) {
      const text = event.kind === 'data' ? Buffer.from(event.data).toString() : ''
      this.#events.push({ ...event, text })
    }
    clearTimeout(this.#timer)
    const wait = this.turn.pollTimeout() - performance.now()
    if (Number.isFinite(wait)) {
      this.#timer = setTimeout(() => {
        this.turn.handleTimeout(performance.now())
        this.#pump()
      }, Math.max(0, wait) + 1)
    }
    for (const look of [...this.#waiters]) look()
  }
}

/** A UDP socket that sends everything back. */
export async function echoPeer(
  host = '127.0.0.1',
): Promise<{ address: TransportAddress; close: () => void }> {
  const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.on('message', (message, { port, address }) => socket.send(message, port, address))
  socket.bind(0, host)
  await once(socket, 'listening')
  return { address: parseAddress(host, socket.address().port)!, close: () => socket.close() }
}
