import type { TransportAddress } from '../../../stun/address.ts'
import { TrustedSources } from '../../proxy/trusted-sources.ts'
import type { TcpSocket } from './tcp-socket.ts'

/** One listening socket, shared by the `tcp` and `tls` listeners that name the same address and port. */
export class StreamListener {
  readonly kind = 'tcp-listener'
  readonly socket: TcpSocket
  readonly local: TransportAddress
  /** As it was asked for, so that a second listener finds it. */
  readonly address: string
  /** Not accepting until then, as descriptors have run out. */
  pausedUntil = 0
  readonly #users = new Map<number, { protocol: 'tcp' | 'tls'; balancers: TrustedSources }>()

  constructor(socket: TcpSocket, local: TransportAddress, address: string) {
    this.socket = socket
    this.local = local
    this.address = address
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
}
