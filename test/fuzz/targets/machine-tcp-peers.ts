import assert from 'node:assert/strict'
import type { TransportAddress } from '../../../relay/stun/address.ts'
import { formatAddress, formatIp } from '../../../relay/stun/address-text.ts'
import type { Output } from '../../../relay/turn/contract.ts'
import { isReachable, OWN } from './machine-settings.ts'

interface TcpConnection {
  state: 'connecting' | 'open' | 'spliced'
  /** The client's end, once it is spliced. */
  link: number | undefined
}

/** The connections between a fuzzed server and TCP peers, as its I/O layer has them (RFC 6062). */
export class TcpPeers {
  readonly #connections = new Map<number, TcpConnection>()

  get ids(): number[] {
    return [...this.#connections.keys()]
  }

  /** The connection whose other end is a client's link. */
  ofLink(link: number): number | undefined {
    return this.ids.find((id) => this.#connections.get(id)?.link === link)
  }

  /** A peer has connected, and the server has given it a number. */
  accepted(id: number): void {
    assert.ok(!this.#connections.has(id), 'one number for two connections')
    this.#connections.set(id, { state: 'open', link: undefined })
  }

  connect(
    { connection, relay, to }: Extract<Output, { kind: 'connect-peer' }>,
    bound: ReadonlyMap<number, TransportAddress>,
  ): void {
    assert.ok(bound.has(relay), 'a connection from a socket that is not bound')
    const ip = formatIp(to)
    const own = OWN.some((address) => address === ip)
    assert.ok(own || isReachable(ip, to.port), `${formatAddress(to)} is no peer`)
    assert.ok(!this.#connections.has(connection), 'one number for two connections')
    this.#connections.set(connection, { state: 'connecting', link: undefined })
  }

  /** False where there is no such attempt any more. */
  established(id: number): boolean {
    const connection = this.#connections.get(id)
    if (connection?.state !== 'connecting') return false
    connection.state = 'open'
    return true
  }

  splice({ connection: id, link }: Extract<Output, { kind: 'splice' }>, links: ReadonlySet<number>): void {
    const connection = this.#connections.get(id)
    assert.equal(connection?.state, 'open', 'a splice of what is not open')
    assert.ok(links.has(link), 'a splice with a link that is gone')
    assert.equal(this.ofLink(link), undefined, 'a link is spliced twice')
    Object.assign(connection, { state: 'spliced', link })
  }

  /** The server ends one, or the peer did. */
  end(id: number): void {
    this.#connections.delete(id)
  }
}
