import type { TransportAddress } from '../../../stun/address.ts'
import { AddressMap } from '../../../stun/address-map.ts'
import { formatIp } from '../../../stun/address-text.ts'
import { NumberMap } from '../../../stun/number-map.ts'
import type { StreamLimits, StreamRefusal } from '../../io.ts'
import { AddressCounts } from '../../portable/address-counts.ts'
import type { DtlsConnection } from './dtls-connection.ts'

const CLIENTS_MAX = 1_048_576

/** The connections there are, by link and by the address of the client: in both or in none. */
export class DtlsTable {
  readonly #byLink = new NumberMap<DtlsConnection>()
  readonly #byClient: AddressMap
  readonly #byAddress = new AddressCounts()

  constructor(seed: number) {
    this.#byClient = new AddressMap(CLIENTS_MAX, seed)
  }

  get size(): number {
    return this.#byLink.size
  }

  get(link: number): DtlsConnection | undefined {
    return this.#byLink.get(link)
  }

  find(listener: number, client: TransportAddress): DtlsConnection | undefined {
    return this.#byLink.get(this.#byClient.get(listener, client))
  }

  all(): DtlsConnection[] {
    return this.#byLink.values()
  }

  ofListener(id: number): DtlsConnection[] {
    return this.all().filter(({ listenerId }) => listenerId === id)
  }

  /** Why one more session of this client is too many. */
  refusal(client: TransportAddress, limits: StreamLimits): StreamRefusal | undefined {
    if (this.size >= Math.min(limits.total, CLIENTS_MAX)) return 'total'
    return this.#byAddress.refusal(formatIp(client), limits)
  }

  add(connection: DtlsConnection): void {
    const { link, listenerId, remote } = connection
    this.#byLink.set(link.id, connection)
    this.#byClient.set(listenerId, remote, link.id)
    this.#byAddress.opened(formatIp(remote))
  }

  /** The session is in use for the first time. */
  proved(connection: DtlsConnection): void {
    if (!connection.halfOpen) return
    connection.halfOpen = false
    this.#byAddress.proved(formatIp(connection.remote))
  }

  remove({ link, listenerId, remote, halfOpen }: DtlsConnection): void {
    if (!this.#byLink.delete(link.id)) return
    this.#byClient.delete(listenerId, remote)
    this.#byAddress.closed(formatIp(remote), halfOpen)
  }
}
