import assert from 'node:assert/strict'
import type { TransportAddress } from '../../relay/stun/address.ts'
import { formatAddress } from '../../relay/stun/address-text.ts'
import { isChannelDataByte } from '../../relay/stun/channel-data.ts'
import { CLASS } from '../../relay/stun/methods.ts'
import { StunReader } from '../../relay/stun/reader.ts'
import type { Output } from '../../relay/turn/contract.ts'
import { checkIndication } from './indications.ts'
import { at, key, RELAY_IP, RELAY_IPV6, userOf } from './names.ts'
import { ReferenceModel } from './reference-model.ts'

/** What went through, to see that a run tested something. */
export interface Tally {
  toPeers: number
  toClients: number
  hairpins: number
  answers: number
  binds: number
  bindFailures: number
  opened: number
  closed: Record<string, number>
  serverSteps: number
}

/** Compares what a server does with the reference model; a difference is an assertion that names it. */
export class Checker {
  readonly model = new ReferenceModel()
  readonly tally: Tally = {
    toPeers: 0,
    toClients: 0,
    hairpins: 0,
    answers: 0,
    binds: 0,
    bindFailures: 0,
    opened: 0,
    closed: {},
    serverSteps: 0,
  }
  /** 5-tuples whose allocation was ended by other than its owner or time. */
  readonly cut = new Set<string>()
  /** 5-tuples that only replay what others sent. */
  readonly strangers = new Set<string>()
  readonly #perUser = new Map<string, number>()

  opened(
    { allocation }: Extract<Output, { kind: 'allocation-opened' }>,
    bound: readonly TransportAddress[],
    allocationsPerUser: number,
  ): void {
    this.tally.opened++
    for (const relayed of allocation.relayed) {
      assert.ok(
        bound.some((bind) => bind.equals(relayed)),
        'success before the socket was bound',
      )
    }
    const user = userOf(allocation.username)
    const held = (this.#perUser.get(user) ?? 0) + 1
    assert.ok(held <= allocationsPerUser, `${user} holds more than the quota`)
    this.#perUser.set(user, held)
  }

  closed({ allocation, reason }: Extract<Output, { kind: 'allocation-closed' }>): void {
    const client = key(allocation.link, allocation.client)
    const user = userOf(allocation.username)
    this.#perUser.set(user, this.#perUser.get(user)! - 1)
    this.tally.closed[reason] = (this.tally.closed[reason] ?? 0) + 1
    this.model.closed(client)
    if (reason === 'revoked' || reason === 'relay-failed') this.cut.add(client)
  }

  answered(client: string, bytes: Uint8Array, now: number): void {
    const reader = new StunReader()
    if (reader.read(bytes, 0, bytes.length) === 'ok' && reader.messageClass === CLASS.Indication) {
      checkIndication(this.model, reader, client, now)
      return
    }
    this.tally.answers++
    this.model.answered(client, bytes, now)
    const gotIn = this.strangers.has(client) && this.model.allocations.has(client)
    assert.ok(!gotIn, `${client} got in with a replayed message`)
  }

  sentToPeer(client: string, peer: TransportAddress, now: number): void {
    this.tally.toPeers++
    const permitted = this.model.permits(client, peer, now)
    assert.ok(permitted, `${client} reached ${formatAddress(peer)} without a permission`)
  }

  sentToClient(client: string, peer: TransportAddress, now: number): void {
    this.tally.toClients++
    const permitted = this.model.permits(client, peer, now)
    assert.ok(permitted, `${formatAddress(peer)} reached ${client} without a permission`)
  }

  /** Two clients of the relay reached each other: both had let the relay's address in. */
  met(client: string, other: string, now: number): void {
    this.tally.hairpins++
    const relays = [at(`${RELAY_IP}:1`), at(`[${RELAY_IPV6}]:1`)]
    const both = relays.some((ip) => [client, other].every((one) => this.model.permits(one, ip, now)))
    assert.ok(both, `${client} and ${other} met without permissions`)
  }

  /** What a live channel carries must not be dropped; another client of the relay may be gone, though. */
  dropped(client: string, bytes: Uint8Array, now: number): void {
    if (bytes.length < 4 || !isChannelDataByte(bytes[0]!)) return
    const peer = this.model.channelPeer(client, (bytes[0]! << 8) | bytes[1]!, now)
    if (peer === undefined || peer.startsWith(RELAY_IP) || peer.startsWith(`[${RELAY_IPV6}]`)) return
    assert.fail(`${client} lost data for ${peer} on a live channel`)
  }
}
