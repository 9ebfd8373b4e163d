import assert from 'node:assert/strict'
import type { TransportAddress } from '../../../relay/stun/address.ts'
import { formatAddress, formatIp } from '../../../relay/stun/address-text.ts'
import {
  newOffloadedData,
  type Offload,
  type OffloadedAllocationOptions,
  type OffloadedPermissionOptions,
} from '../../../relay/turn/offload.ts'
import type { ReferenceModel } from '../../simulation/reference-model.ts'
import { key } from './machine-packets.ts'
import { LINKS } from './machine-settings.ts'

interface OpenPermission {
  /** The 5-tuple that it was opened for. */
  readonly client: string
  readonly allocation: number
  readonly peer: TransportAddress
  untilMs: number
}

interface OpenChannel {
  readonly permission: number
  readonly number: number
  readonly peerPort: number
  untilMs: number
}

/** What a server leaves to the kernel, which would pass data without asking again: it must be permitted all the time. */
export class FuzzedOffload implements Offload {
  readonly #allocations = new Map<number, string>()
  readonly #permissions = new Map<number, OpenPermission>()
  readonly #channels = new Map<number, OpenChannel>()
  #last = 0

  openAllocation({ client, listener }: OffloadedAllocationOptions): number {
    const link = LINKS.find(
      ({ local, transport }) => transport === 'udp' && local === formatAddress(listener),
    )
    assert.ok(link, 'an allocation of no UDP listener is offloaded')
    this.#allocations.set(++this.#last, key(link.id, client))
    return this.#last
  }

  closeAllocation(allocation: number): void {
    for (const open of this.#permissions.values())
      assert.notEqual(open.allocation, allocation, 'closed too early')
    assert.ok(this.#allocations.delete(allocation), 'an allocation is closed twice')
  }

  setRates(allocation: number): void {
    assert.ok(this.#allocations.has(allocation))
  }

  openPermission(allocation: number, { peer, untilMs }: OffloadedPermissionOptions): number {
    const client = this.#allocations.get(allocation)
    assert.ok(client, 'a permission of no allocation')
    this.#permissions.set(++this.#last, { client, allocation, peer: peer.clone(), untilMs })
    return this.#last
  }

  setPermission(permission: number, _anyPort: boolean, untilMs: number): void {
    this.#permissions.get(permission)!.untilMs = untilMs
  }

  closePermission(permission: number): void {
    for (const open of this.#channels.values())
      assert.notEqual(open.permission, permission, 'closed too early')
    assert.ok(this.#permissions.delete(permission), 'a permission is closed twice')
  }

  openChannel(permission: number, number: number, peerPort: number, untilMs: number): number {
    assert.ok(this.#permissions.has(permission), 'a channel of no permission')
    this.#channels.set(++this.#last, { permission, number, peerPort, untilMs })
    return this.#last
  }

  setChannelEnd(channel: number, untilMs: number): void {
    this.#channels.get(channel)!.untilMs = untilMs
  }

  closeChannel(channel: number): void {
    assert.ok(this.#channels.delete(channel), 'a channel is closed twice')
  }

  charge(allocation: number): boolean {
    assert.ok(this.#allocations.has(allocation))
    return true
  }

  collect(allocation: number) {
    assert.ok(this.#allocations.has(allocation))
    return newOffloadedData()
  }

  tick(): void {}

  get size(): number {
    return this.#allocations.size + this.#permissions.size + this.#channels.size
  }

  /** What may pass below now may pass by the rules. */
  check(model: ReferenceModel, now: number): void {
    for (const { client, peer, untilMs } of this.#permissions.values()) {
      const allowed = untilMs <= now || model.permits(client, peer, now)
      assert.ok(allowed, `${client} and ${formatIp(peer)} may talk below without a permission`)
    }
    for (const { permission, number, peerPort, untilMs } of this.#channels.values()) {
      const open = this.#permissions.get(permission)!
      if (untilMs <= now || open.untilMs <= now) continue
      const peer = open.peer.clone()
      peer.port = peerPort
      const bound = model.channelPeer(open.client, number, now)
      assert.equal(bound, formatAddress(peer), 'a channel leads elsewhere below')
    }
  }
}
