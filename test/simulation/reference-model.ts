import assert from 'node:assert/strict'
import { TransportAddress } from '../../relay/stun/address.ts'
import { formatAddress, formatIp } from '../../relay/stun/address-text.ts'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { readChannelNumber, readUint32Value, readXorAddress } from '../../relay/stun/attributes.ts'
import { CLASS, METHOD } from '../../relay/stun/methods.ts'
import { StunReader } from '../../relay/stun/reader.ts'

const PERMISSION_MS = 300_000
const CHANNEL_MS = 600_000

interface ModelAllocation {
  /** Milliseconds by IP. */
  readonly permissions: Map<string, number>
  readonly channels: Map<number, { peer: string; ip: string; until: number }>
  /** What the client was last told. */
  until: number
  /** The 5-tuple that it is at, and the one that it is moving to (RFC 8016). */
  active: string
  next: string | undefined
  /** The transaction of the Allocate that made it. */
  readonly madeBy: string
}

/**
 * What a TURN server must allow, kept apart from the server in the plainest form: it reads the requests that
 * arrived and the responses that left, and says which data may pass.
 */
export class ReferenceModel {
  readonly allocations = new Map<string, ModelAllocation>()
  readonly denied = new Set<string>()
  readonly #requests = new Map<string, Uint8Array>()
  /** Who asked for a mapped address, by transaction and IP: NAT discovery answers elsewhere (RFC 5780). */
  readonly #bindings = new Set<string>()
  readonly #byTicket = new Map<string, ModelAllocation>()
  readonly #reader = new StunReader()

  /** A message from a client reaches the server. */
  arrived(client: string, bytes: Uint8Array): void {
    if (this.#reader.read(bytes, 0, bytes.length) !== 'ok' || this.#reader.messageClass !== CLASS.Request)
      return
    this.#requests.set(`${client} ${this.#id()}`, bytes.slice())
    if (this.#reader.method === METHOD.Binding) this.#bindings.add(`${ipOf(client)} ${this.#id()}`)
  }

  /** A message leaves the server: it answers a request of that client, and what it grants is noted. */
  answered(client: string, bytes: Uint8Array, now: number): void {
    assert.equal(this.#reader.read(bytes, 0, bytes.length), 'ok', 'the server sent a malformed message')
    const { method, messageClass } = this.#reader
    if (method === METHOD.Binding && this.#bindings.has(`${ipOf(client)} ${this.#id()}`)) return
    const request = this.#requests.get(`${client} ${this.#id()}`)
    assert.ok(request, `${client} is answered without having asked`)
    if (messageClass !== CLASS.Success) return
    if (method === METHOD.Refresh) this.#move(client, request)
    if (method === METHOD.Allocate || method === METHOD.Refresh) this.#setLifetime(client, method, now)
    else if (method === METHOD.CreatePermission || method === METHOD.ChannelBind) {
      this.#grant(client, request, method, now)
    }
  }

  /** The server said that an allocation has ended. */
  closed(client: string): void {
    const allocation = this.allocations.get(client)
    if (!allocation) return
    this.allocations.delete(allocation.active)
    if (allocation.next !== undefined) this.allocations.delete(allocation.next)
  }

  /** Data came from a 5-tuple and was let through: a client that was moving to it has arrived. */
  sentFrom(client: string): void {
    const allocation = this.allocations.get(client)
    if (allocation?.next !== client) return
    this.allocations.delete(allocation.active)
    allocation.active = client
    allocation.next = undefined
  }

  /** A link is gone: who has another 5-tuple is there now. */
  unlinked(link: number): void {
    for (const [client, allocation] of [...this.allocations]) {
      if (!client.startsWith(`${link}/`)) continue
      if (allocation.next === client) allocation.next = undefined
      else if (allocation.next !== undefined) {
        allocation.active = allocation.next
        allocation.next = undefined
      } else continue
      this.allocations.delete(client)
    }
  }

  deny(ip: string): void {
    this.denied.add(ip)
    for (const { permissions, channels } of this.allocations.values()) {
      permissions.delete(ip)
      for (const [number, channel] of channels) if (channel.ip === ip) channels.delete(number)
    }
  }

  permits(client: string, peer: TransportAddress, now: number): boolean {
    const until = this.allocations.get(client)?.permissions.get(formatIp(peer))
    return until !== undefined && until > now && !this.denied.has(formatIp(peer))
  }

  /** The peer that a channel leads to, where data may pass. */
  channelPeer(client: string, number: number, now: number): string | undefined {
    const allocation = this.allocations.get(client)
    const channel = allocation?.channels.get(number)
    if (!channel || channel.until <= now) return undefined
    return (allocation?.permissions.get(channel.ip) ?? 0) > now ? channel.peer : undefined
  }

  #setLifetime(client: string, method: number, now: number): void {
    const seconds = readUint32Value(this.#reader, this.#reader.find(ATTRIBUTE.Lifetime)) ?? Number.NaN
    const until = now + seconds * 1000
    const id = this.#id()
    // Data that is dropped shows nothing of it, but a client that allocates anew has left this 5-tuple.
    const left = method === METHOD.Allocate && this.allocations.get(client)?.madeBy !== id
    if (left) this.sentFrom(this.allocations.get(client)?.next ?? '')
    const known = this.allocations.get(client)
    assert.ok(!left || !known, `${client} has two allocations`)
    if (known) known.until = until
    else if (method === METHOD.Allocate) {
      const empty = { permissions: new Map(), channels: new Map() }
      this.allocations.set(client, { ...empty, until, active: client, next: undefined, madeBy: id })
    }
    const allocation = this.allocations.get(client)
    const ticket = ticketIn(this.#reader)
    if (ticket && allocation) this.#byTicket.set(ticket, allocation)
  }

  /** A Refresh that presented a ticket was granted: its client is at a second 5-tuple from now on. */
  #move(client: string, request: Uint8Array): void {
    const id = this.#id()
    const asked = new StunReader()
    asked.read(request, 0, request.length)
    const ticket = ticketIn(asked)
    if (ticket === undefined) return
    const allocation = this.#byTicket.get(ticket)
    assert.ok(allocation, `${client} moved in request ${id} with a ticket that nobody was given`)
    if (allocation.active === client || allocation.next === client) return
    assert.ok(!this.allocations.has(client), `${client} moved over another allocation`)
    if (allocation.next !== undefined) this.allocations.delete(allocation.next)
    allocation.next = client
    this.allocations.set(client, allocation)
  }

  #grant(client: string, request: Uint8Array, method: number, now: number): void {
    const allocation = this.allocations.get(client)
    assert.ok(allocation, `${client} was granted something without an allocation`)
    this.#reader.read(request, 0, request.length)
    const peer = new TransportAddress()
    for (
      let i = this.#reader.find(ATTRIBUTE.XorPeerAddress);
      i >= 0;
      i = this.#reader.find(ATTRIBUTE.XorPeerAddress, i)
    ) {
      assert.ok(readXorAddress(this.#reader, i, peer))
      assert.ok(!this.denied.has(formatIp(peer)), `${formatIp(peer)} is denied and was granted`)
      allocation.permissions.set(formatIp(peer), now + PERMISSION_MS)
      // Of duplicates the first counts, but for CreatePermission.
      if (method === METHOD.ChannelBind) break
    }
    if (method !== METHOD.ChannelBind) return
    const number = readChannelNumber(this.#reader, this.#reader.find(ATTRIBUTE.ChannelNumber))!
    allocation.channels.set(number, {
      peer: formatAddress(peer),
      ip: formatIp(peer),
      until: now + CHANNEL_MS,
    })
  }

  #id(): string {
    return `${this.#reader.id0}.${this.#reader.id1}.${this.#reader.id2}`
  }
}

/** MOBILITY-TICKET, where one is there that is not empty. */
function ticketIn(reader: StunReader): string | undefined {
  const index = reader.find(ATTRIBUTE.MobilityTicket)
  return index < 0 ? undefined : Buffer.from(reader.value(index)).toString('hex') || undefined
}

/** The IP of a 5-tuple's name. */
function ipOf(client: string): string {
  return client.slice(client.indexOf('/') + 1, client.lastIndexOf(':'))
}
