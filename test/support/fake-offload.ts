import type { TransportAddress } from '../../relay/stun/address.ts'
import { formatAddress } from '../../relay/stun/address-text.ts'
import {
  newOffloadedData,
  type Offload,
  type OffloadedAllocationOptions,
  type OffloadedData,
  type OffloadedPermissionOptions,
  REFUSED,
} from '../../relay/turn/offload.ts'

interface FakeAllocation {
  readonly options: OffloadedAllocationOptions
  data: OffloadedData
}
interface FakePermission {
  readonly allocation: number
  readonly options: OffloadedPermissionOptions
  anyPort: boolean
  untilMs: number
}
interface FakeChannel {
  readonly permission: number
  readonly number: number
  readonly port: number
  untilMs: number
}

/** What the kernel path does with its maps, in memory: handles never come back, so that a stale one shows. */
export class FakeOffload implements Offload {
  readonly allocations = new Map<number, FakeAllocation>()
  readonly permissions = new Map<number, FakePermission>()
  readonly channels = new Map<number, FakeChannel>()
  /** Most permissions. */
  room = Number.POSITIVE_INFINITY
  /** What `charge` answers. */
  withinRate = true
  charged = 0
  #last = -1

  /** Where ChannelData of a client would go to, without the state machine; undefined: up to it. */
  channelData(client: string, number: number, now: number): string | undefined {
    for (const { permission, number: own, port, untilMs } of this.channels.values()) {
      const under = this.permissions.get(permission)!
      const { client: from } = this.allocations.get(under.allocation)!.options
      if (own === number && formatAddress(from) === client && untilMs > now && under.untilMs > now)
        return withPort(under.options.peer, port)
    }
    return undefined
  }

  /** Whether a Send indication of a client would go to a peer, and what the peer sends to the client. */
  passes(client: string, peer: TransportAddress, now: number): boolean {
    return [...this.permissions.values()].some(
      ({ allocation, options, anyPort, untilMs }) =>
        formatAddress(this.allocations.get(allocation)!.options.client) === client &&
        options.peer.sameIp(peer) &&
        (anyPort || peer.port >= 1024 || peer.port === 443) &&
        untilMs > now,
    )
  }

  openAllocation(options: OffloadedAllocationOptions): number {
    this.allocations.set(++this.#last, { options, data: newOffloadedData() })
    return this.#last
  }

  closeAllocation(allocation: number): void {
    const left = [...this.permissions.values()].some((one) => one.allocation === allocation)
    if (left) throw new Error('an allocation was closed with permissions open')
    if (!this.allocations.delete(allocation)) throw new Error('no such allocation')
  }

  setRates(allocation: number): void {
    if (!this.allocations.has(allocation)) throw new Error('no such allocation')
  }

  openPermission(allocation: number, options: OffloadedPermissionOptions): number {
    if (this.permissions.size >= this.room) return REFUSED
    this.permissions.set(++this.#last, {
      allocation,
      options,
      anyPort: options.anyPort,
      untilMs: options.untilMs,
    })
    return this.#last
  }

  setPermission(permission: number, anyPort: boolean, untilMs: number): void {
    const open = this.permissions.get(permission)!
    open.anyPort = anyPort
    open.untilMs = untilMs
  }

  closePermission(permission: number): void {
    const left = [...this.channels.values()].some((one) => one.permission === permission)
    if (left) throw new Error('a permission was closed with channels open')
    if (!this.permissions.delete(permission)) throw new Error('no such permission')
  }

  openChannel(permission: number, number: number, port: number, untilMs: number): number {
    this.channels.set(++this.#last, { permission, number, port, untilMs })
    return this.#last
  }

  setChannelEnd(channel: number, untilMs: number): void {
    this.channels.get(channel)!.untilMs = untilMs
  }

  closeChannel(channel: number): void {
    if (!this.channels.delete(channel)) throw new Error('no such channel')
  }

  charge(): boolean {
    this.charged++
    return this.withinRate
  }

  collect(allocation: number): Readonly<OffloadedData> {
    const open = this.allocations.get(allocation)!
    const { data } = open
    open.data = newOffloadedData()
    return data
  }

  tick(): void {}
}

function withPort(ip: TransportAddress, port: number): string {
  const address = ip.clone()
  address.port = port
  return formatAddress(address)
}
