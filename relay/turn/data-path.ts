import { TransportAddress } from '../stun/address.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { readXorAddress } from '../stun/attributes.ts'
import {
  CHANNEL_HEADER_BYTES,
  channelNumber,
  channelPayloadLength,
  writeChannelHeader,
} from '../stun/channel-data.ts'
import { CLASS, METHOD, messageType } from '../stun/methods.ts'
import {
  ATTRIBUTE_HEADER_BYTES,
  HEADER_BYTES,
  padded,
  writeHeader,
  writeUint16,
  writeXorAddress,
  xorAddressBytes,
} from '../stun/wire.ts'
import type { Allocation, Permission, RelaySocket } from './allocation.ts'
import { type Forward, isStream } from './contract.ts'
import type { TurnCore } from './core.ts'
import type { DropReason } from './drops.ts'
import { arrive, isNext } from './mobility.ts'
import { UNTRIED } from './offload.ts'

const DATA_INDICATION = messageType(METHOD.Data, CLASS.Indication)
/** Largest value of a STUN message's length field that is a multiple of four. */
const BODY_BYTES_MAX = 0xfffc

/**
 * The packet path: application data between clients and peers (RFC 8656 §11, §12). Nothing is allocated and
 * the payload stays where it is; headers are written into the room before it.
 */
export class DataPath {
  readonly #core: TurnCore
  readonly #forward: Forward = { target: 'peer', socket: 0, to: new TransportAddress(), offset: 0, length: 0 }
  readonly #peer = new TransportAddress()
  /** Ids of Data indications: random at first, then counted. */
  readonly #indication: { id0: number; id1: number; id2: number }

  constructor(core: TurnCore) {
    this.#core = core
    const bytes = core.crypto.randomBytes(12)
    const words = new DataView(bytes.buffer, bytes.byteOffset, 12)
    this.#indication = { id0: words.getUint32(0), id1: words.getUint32(4), id2: words.getUint32(8) }
  }

  /** ChannelData from a client (RFC 8656 §12.6). */
  channelData(
    link: number,
    from: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    now: number,
  ): Forward | undefined {
    const { table } = this.#core
    const payload = channelPayloadLength(buffer, offset, length)
    if (payload < 0) return this.#drop('malformed')
    const allocation = table.find(link, from)
    if (!allocation) return this.#drop('no-allocation')
    if (allocation.mobility?.next) this.#follow(allocation, link, from)
    const channel = table.channel(allocation, channelNumber(buffer, offset))
    if (!channel || channel.expiresAt <= now) return this.#drop('no-channel')
    return this.#toPeer(
      allocation,
      channel.permission,
      channel.peer,
      buffer,
      offset + CHANNEL_HEADER_BYTES,
      payload,
      now,
    )
  }

  /** A Send indication, read by `core.reader` (RFC 8656 §11.2). */
  sendIndication(link: number, from: TransportAddress, buffer: Uint8Array, now: number): Forward | undefined {
    const { table, reader, knownAttributes } = this.#core
    const allocation = table.find(link, from)
    if (!allocation) return this.#drop('no-allocation')
    if (allocation.mobility?.next) this.#follow(allocation, link, from)
    const address = reader.find(ATTRIBUTE.XorPeerAddress)
    const data = reader.find(ATTRIBUTE.Data)
    if (address < 0 || data < 0 || !readXorAddress(reader, address, this.#peer))
      return this.#drop('malformed')
    if (reader.unknownRequired(knownAttributes).length > 0) return this.#drop('unsupported')
    if (allocation.transport === 'tcp') return this.#drop('unsupported')
    const permission = table.permission(allocation, this.#peer)
    return this.#toPeer(
      allocation,
      permission,
      this.#peer,
      buffer,
      reader.valueOffset(data),
      reader.valueLength(data),
      now,
    )
  }

  /** A datagram from a peer (RFC 8656 §11.3, §12.7). */
  peerData(
    relay: number,
    from: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    now: number,
  ): Forward | undefined {
    const socket = this.#core.table.relay(relay)
    if (!socket) return this.#drop('no-allocation')
    return this.#toClient(socket.allocation, from, buffer, offset, length, now)
  }

  /** Data from where a mobile client was moving to: it is there now (RFC 8016 §3.2.2). */
  #follow(allocation: Allocation, link: number, from: TransportAddress): void {
    if (isNext(allocation, link, from)) arrive(this.#core, allocation)
  }

  #toPeer(
    allocation: Allocation,
    permission: Permission | undefined,
    peer: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    now: number,
  ): Forward | undefined {
    if (!permission || permission.expiresAt <= now) return this.#drop('no-permission')
    if (!allocation.policy.admits(permission.verdict, peer)) return this.#drop('peer-refused')
    const relay = allocation.relayOf(peer.family)
    if (!relay) return this.#drop('no-permission')
    if (permission.offloaded === UNTRIED) this.#core.offloading?.take(allocation, permission)
    if (!this.#withinRate(allocation, length, now)) return this.#drop('rate-limit')
    allocation.clientPackets++
    allocation.clientBytes += length
    this.#core.counters.clientPackets++
    this.#core.counters.clientBytes += length
    if (permission.verdict === 'hairpin' || permission.verdict === 'own-allowed') {
      const other = this.#core.table.relayAt(peer)
      if (other) return this.#hairpin(relay, other, buffer, offset, length, now)
    }
    return this.#set('peer', relay.id, peer, offset, length)
  }

  /**
   * Both clients are on this relay: what one sends arrives at the other as from the first one's relayed
   * address, also where the relay's public address is a NAT's that would not turn it round.
   */
  #hairpin(
    relay: RelaySocket,
    other: RelaySocket,
    buffer: Uint8Array,
    offset: number,
    length: number,
    now: number,
  ): Forward | undefined {
    return this.#toClient(other.allocation, relay.relayed, buffer, offset, length, now)
  }

  #toClient(
    allocation: Allocation,
    peer: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    now: number,
  ): Forward | undefined {
    const { table, counters } = this.#core
    // Of a datagram for a TCP relayed address nobody hears.
    if (allocation.transport === 'tcp') return this.#drop('no-allocation')
    const permission = table.permission(allocation, peer)
    if (!permission || permission.expiresAt <= now) return this.#drop('no-permission')
    if (!allocation.policy.admits(permission.verdict, peer)) return this.#drop('peer-refused')
    if (length > BODY_BYTES_MAX - xorAddressBytes(peer.family) - ATTRIBUTE_HEADER_BYTES)
      return this.#drop('malformed')
    if (permission.offloaded === UNTRIED) this.#core.offloading?.take(allocation, permission)
    if (!this.#withinRate(allocation, length, now)) return this.#drop('rate-limit')
    allocation.peerPackets++
    allocation.peerBytes += length
    counters.peerPackets++
    counters.peerBytes += length
    const channel = permission.channels > 0 ? table.channelTo(allocation, peer) : undefined
    if (!channel || channel.expiresAt <= now)
      return this.#asDataIndication(allocation, peer, buffer, offset, length)
    const start = offset - CHANNEL_HEADER_BYTES
    writeChannelHeader(buffer, start, channel.number, length)
    const end = isStream(allocation.link.transport) ? pad(buffer, offset, length) : length
    return this.#set('client', allocation.link.id, allocation.client, start, CHANNEL_HEADER_BYTES + end)
  }

  #asDataIndication(
    allocation: Allocation,
    peer: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
  ): Forward {
    const body = xorAddressBytes(peer.family) + ATTRIBUTE_HEADER_BYTES + padded(length)
    const data = offset - ATTRIBUTE_HEADER_BYTES
    const start = data - xorAddressBytes(peer.family) - HEADER_BYTES
    this.#indication.id2 = (this.#indication.id2 + 1) >>> 0
    writeHeader(buffer, start, DATA_INDICATION, body, this.#indication)
    writeXorAddress(buffer, start, start + HEADER_BYTES, ATTRIBUTE.XorPeerAddress, peer)
    writeUint16(buffer, data, ATTRIBUTE.Data)
    writeUint16(buffer, data + 2, length)
    pad(buffer, offset, length)
    return this.#set('client', allocation.link.id, allocation.client, start, HEADER_BYTES + body)
  }

  #withinRate(allocation: Allocation, length: number, now: number): boolean {
    const { offloading, config } = this.#core
    if (offloading && allocation.offloaded >= 0) return offloading.charge(allocation, length, now)
    const { limits } = config
    return (
      allocation.packetBucket.take(1, limits.packetsPerSecondPerAllocation, now) &&
      allocation.byteBucket.take(length, allocation.bytesPerSecond(limits), now)
    )
  }

  #set(
    target: Forward['target'],
    socket: number,
    to: TransportAddress,
    offset: number,
    length: number,
  ): Forward {
    const forward = this.#forward
    forward.target = target
    forward.socket = socket
    forward.to.copyFrom(to)
    forward.offset = offset
    forward.length = length
    return forward
  }

  #drop(reason: DropReason): undefined {
    this.#core.counters.drops[reason]++
    return undefined
  }
}

/** Zeros behind a payload up to a multiple of four; returns the padded length. */
function pad(buffer: Uint8Array, offset: number, length: number): number {
  const end = padded(length)
  for (let at = length; at < end; at++) buffer[offset + at] = 0
  return end
}
