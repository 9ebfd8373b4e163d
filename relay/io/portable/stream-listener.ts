import net from 'node:net'
import type { TransportAddress } from '../../stun/address.ts'
import { TrustedSources } from '../proxy/trusted-sources.ts'

/** One listening TCP socket, shared by the `tcp` and `tls` listeners that name the same address and port. */
export class StreamListener {
  readonly address: string
  readonly port: number
  readonly #server: net.Server
  readonly #users = new Map<number, { protocol: 'tcp' | 'tls'; balancers: TrustedSources }>()

  private constructor(server: net.Server, bound: net.AddressInfo) {
    this.#server = server
    this.address = bound.address
    this.port = bound.port
  }

  /** Rejects with what the system says. */
  static open(
    options: { address: string; port: number },
    accepted: (listener: StreamListener, socket: net.Socket) => void,
  ): Promise<StreamListener> {
    return new Promise((resolve, reject) => {
      const server = net.createServer({ allowHalfOpen: false, keepAlive: true })
      server.once('error', reject)
      server.listen(
        { host: options.address, port: options.port, ipv6Only: true, exclusive: true, backlog: 1024 },
        () => {
          server.off('error', reject)
          // Accepting can fail for want of descriptors; the next one may succeed.
          server.on('error', () => undefined)
          const listener = new StreamListener(server, server.address() as net.AddressInfo)
          server.on('connection', (socket) => accepted(listener, socket))
          resolve(listener)
        },
      )
    })
  }

  get acceptsTls(): boolean {
    return [...this.#users.values()].some(({ protocol }) => protocol === 'tls')
  }

  get unused(): boolean {
    return this.#users.size === 0
  }

  /** Whether an address is that of a balancer, which puts a header in front of its streams. */
  trusts(address: TransportAddress): boolean {
    return [...this.#users.values()].some(({ balancers }) => balancers.includes(address))
  }

  addUser(id: number, protocol: 'tcp' | 'tls', proxyFrom?: readonly string[]): void {
    this.#users.set(id, { protocol, balancers: new TrustedSources(proxyFrom) })
  }

  /** False where it is not a user. */
  removeUser(id: number): boolean {
    return this.#users.delete(id)
  }

  /** Stops accepting and frees the port; established streams stay. */
  close(): Promise<void> {
    this.#server.close()
    return new Promise((resolve) => setImmediate(resolve))
  }
}
