import { randomBytes, randomInt } from 'node:crypto'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import { ERROR } from '../../relay/stun/error-codes.ts'
import { CLASS } from '../../relay/stun/methods.ts'
import { codeOf, type Endpoint, type Message } from '../support/stun-message.ts'
import { Broken, NotTested } from './case.ts'
import { Client, type Credentials, describe } from './client.ts'
import { openWire, type Transport, type Wire } from './wire.ts'

const PEER_MS = 2500
const PEER_PORTS = { min: 20_000, max: 32_000 }
const BIND_ATTEMPTS_MAX = 20

/** A server to test, and what its operator tells of it. */
export interface Target {
  readonly server: Endpoint
  /** A UDP address of it that takes part in NAT behaviour discovery; absent: `server`. */
  readonly natServer?: Endpoint | undefined
  readonly transport: Transport
  readonly credentials: Credentials
  /** A second user, for what one user must not do to another. */
  readonly other?: Credentials | undefined
  /** An address of this machine that the server can reach; absent: none is known. */
  readonly peerAddress?: string | undefined
  /** How many allocations the server grants a user; absent: it is not known. */
  readonly quota?: number | undefined
  /** Kid and key of RFC 7635, for servers that take its tokens. */
  readonly tokenKey?: { readonly kid: string; readonly key: Uint8Array } | undefined
}

/** What one case has at hand; everything it opens is closed after it. */
export class Trial {
  readonly target: Target
  readonly #closing: (() => Promise<void> | void)[] = []

  constructor(target: Target) {
    this.target = target
  }

  /** A client at a new local port. */
  async client(credentials = this.target.credentials): Promise<Client> {
    const client = new Client(await this.wire(), credentials)
    this.#closing.push(() => client.close())
    return client
  }

  /** A client before the address for NAT behaviour discovery. */
  async natClient(): Promise<Client> {
    const wire = await openWire(this.natServer, this.target.transport)
    const client = new Client(wire, this.target.credentials)
    this.#closing.push(() => client.close())
    return client
  }

  get natServer(): Endpoint {
    return this.target.natServer ?? this.target.server
  }

  /** A bare connection. */
  async wire(localPort = 0): Promise<Wire> {
    const { server, transport } = this.target
    return openWire(server, transport, localPort)
  }

  later(close: () => Promise<void> | void): void {
    this.#closing.push(close)
  }

  /** A client with an allocation, and a peer that it may talk to. */
  async call(): Promise<{ client: Client; relayed: Endpoint; peer: Peer }> {
    const peer = await this.peer()
    const client = await this.client()
    const relayed = await client.allocate()
    this.permitted(await client.permit(peer.address))
    return { client, relayed, peer }
  }

  /** A UDP socket that the server can reach. */
  async peer(): Promise<Peer> {
    const peer = await Peer.open(this.peerIp)
    this.#closing.push(() => peer.close())
    return peer
  }

  /** The address of this machine for peers; not tested where the server cannot reach one. */
  get peerIp(): string {
    const { peerAddress } = this.target
    if (!peerAddress)
      throw new NotTested('no address of this machine that the server can reach: give --peer-address')
    return peerAddress
  }

  /** Not tested further where the policy of the server forbids our peers. */
  permitted(answer: Message): void {
    if (codeOf(answer) === ERROR.Forbidden) {
      throw new NotTested(
        `the server forbids peers at ${this.target.peerAddress} (403): give another --peer-address`,
      )
    }
    expectSuccess(answer)
  }

  async close(): Promise<void> {
    for (const close of this.#closing.reverse()) await close()
  }
}

/** A peer: what it hears and from where. */
export class Peer {
  readonly address: Endpoint
  readonly #socket: dgram.Socket
  readonly #heard: { data: Buffer; from: Endpoint }[] = []
  readonly #looks = new Set<() => void>()

  private constructor(socket: dgram.Socket) {
    this.#socket = socket
    const { address, port } = socket.address()
    this.address = { ip: address, port }
    socket.on('message', (data, from) => {
      this.#heard.push({ data, from: { ip: from.address, port: from.port } })
      for (const look of [...this.#looks]) look()
    })
    socket.on('error', () => {})
  }

  static async open(ip: string): Promise<Peer> {
    const socket = dgram.createSocket(isIPv6(ip) ? 'udp6' : 'udp4')
    await onPeerPort(async (port) => {
      socket.bind(port, ip)
      await once(socket, 'listening')
    })
    return new Peer(socket)
  }

  send(to: Endpoint, data: Uint8Array): void {
    this.#socket.send(data, to.port, to.ip, () => {})
  }

  /** The next datagram, or undefined. */
  hear(ms = PEER_MS): Promise<{ data: Buffer; from: Endpoint } | undefined> {
    return new Promise((resolve) => {
      const look = () => {
        const next = this.#heard.shift()
        if (next) finish(next)
      }
      const finish = (next?: { data: Buffer; from: Endpoint }) => {
        clearTimeout(timer)
        this.#looks.delete(look)
        resolve(next)
      }
      const timer = setTimeout(() => finish(), ms)
      this.#looks.add(look)
      look()
    })
  }

  close(): void {
    this.#socket.close()
  }
}

/**
 * Calls `bind` with ports until one is free. They lie below those that systems choose from: a server on the same
 * machine may have listeners there, whose numbers it may refuse as peers whatever their protocol.
 */
export async function onPeerPort(bind: (port: number) => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await bind(randomInt(PEER_PORTS.min, PEER_PORTS.max + 1))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || attempt === BIND_ATTEMPTS_MAX) throw error
    }
  }
}

/** Fails where the answer has another code. */
export function expectCode(answer: Message, ...codes: readonly number[]): string {
  if (!codes.includes(codeOf(answer)) || answer.class !== CLASS.Error) throw new Broken(describe(answer))
  return describe(answer)
}

export function expectSuccess(answer: Message): string {
  if (answer.class !== CLASS.Success) throw new Broken(describe(answer))
  return describe(answer)
}

/** Fails with what came instead. */
export function expect(condition: boolean, came: string): void {
  if (!condition) throw new Broken(came)
}

export function sameEndpoint(a: Endpoint | undefined, b: Endpoint): boolean {
  return a?.ip === b.ip && a.port === b.port
}

export function text({ ip, port }: Endpoint): string {
  return isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}

/** Bytes that no server makes up. */
export function payload(length: number): Buffer {
  return randomBytes(length)
}
