import type { PassedClient } from '../io/adoption.ts'
import type { IoHandler, RelayIo } from '../io/io.ts'
import type { TransportAddress } from '../stun/address.ts'
import type { BindFailure, DataSource, Forward, Link, Output, TurnMachine } from '../turn/contract.ts'
import { newTraffic, type SideTraffic } from './traffic.ts'

/** What a shard tells those who log, count and report. */
export type ShardEvent =
  | Extract<Output, { kind: 'allocation-opened' | 'allocation-refreshed' | 'allocation-closed' | 'refused' }>
  /** A fault of this program: the packet at hand was dropped. */
  | { kind: 'fault'; error: unknown }

export interface ShardOptions {
  readonly io: RelayIo
  readonly machine: TurnMachine
  /** Unix milliseconds. */
  readonly unixMs: () => number
  readonly onEvent: (event: ShardEvent) => void
  /** Gives a client to another event loop; absent: there is none. */
  readonly onPass?: ((loop: number, client: PassedClient) => void) | undefined
}

/** One event loop's worth of relay: hands what the I/O layer brings to the state machine, and back. */
export class Shard implements IoHandler {
  readonly traffic = newTraffic()
  readonly #io: RelayIo
  readonly #machine: TurnMachine
  readonly #options: ShardOptions
  readonly #sides = new Map<number, SideTraffic>()
  #wakeAt = Number.POSITIVE_INFINITY

  constructor(options: ShardOptions) {
    this.#options = options
    this.#io = options.io
    this.#machine = options.machine
  }

  start(): void {
    this.syncClock()
    this.#io.start(this)
  }

  /** Wall time may be set while the relay runs; to be called now and then. */
  syncClock(): void {
    this.#machine.setWallClockOffset(this.#options.unixMs() - this.#io.now())
  }

  linkOpened(link: Link): void {
    this.#sides.set(link.id, this.traffic[link.transport])
    this.#guard(() => this.#machine.addLink(link))
  }

  linkClosed(link: number): void {
    this.#sides.delete(link)
    this.#guard(() => this.#machine.removeLink(link, this.#io.now()))
  }

  clientData(
    link: number,
    from: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    trafficClass: number,
  ): void {
    const side = this.#sides.get(link)
    if (!side) return
    this.#countIn(side, length)
    try {
      const forward = this.#machine.handleClientData(link, from, buffer, offset, length, this.#io.now())
      if (forward) this.#forward(forward, buffer, trafficClass)
    } catch (error) {
      this.#options.onEvent({ kind: 'fault', error })
    }
  }

  peerData(
    relay: number,
    from: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    trafficClass: number,
  ): void {
    this.#countIn(this.traffic.peer, length)
    try {
      const forward = this.#machine.handlePeerData(relay, from, buffer, offset, length, this.#io.now())
      if (forward) this.#forward(forward, buffer, trafficClass)
    } catch (error) {
      this.#options.onEvent({ kind: 'fault', error })
    }
  }

  peerError(relay: number, peer: TransportAddress, icmpType: number, icmpCode: number, mtu: number): void {
    this.#guard(() => this.#machine.handlePeerError(relay, peer, icmpType, icmpCode, mtu, this.#io.now()))
  }

  relayBound(relay: number): void {
    this.#guard(() => this.#machine.relayBound(relay, this.#io.now()))
  }

  relayBindFailed(relay: number, failure: BindFailure): void {
    this.#guard(() => this.#machine.relayBindFailed(relay, failure, this.#io.now()))
  }

  peerConnection(relay: number, from: TransportAddress): number | undefined {
    try {
      return this.#machine.handlePeerConnection(relay, from, this.#io.now())
    } catch (error) {
      this.#options.onEvent({ kind: 'fault', error })
      return undefined
    }
  }

  peerConnected(connection: number): void {
    this.#guard(() => this.#machine.peerConnected(connection, this.#io.now()))
  }

  peerClosed(connection: number): void {
    this.#guard(() => this.#machine.peerClosed(connection, this.#io.now()))
  }

  splicedData(connection: number, link: number, source: DataSource, bytes: number): number {
    const client = this.#sides.get(link)
    const { peer } = this.traffic
    const [from, to] = source === 'client' ? [client, peer] : [peer, client]
    if (from) this.#countIn(from, bytes)
    if (to) this.#countOut(to, bytes)
    const now = this.#io.now()
    try {
      return this.#machine.handleSplicedData(connection, source, bytes, now)
    } catch (error) {
      this.#options.onEvent({ kind: 'fault', error })
      return now
    }
  }

  hasClient(link: number, client: TransportAddress): boolean {
    return this.#machine.hasClient(link, client)
  }

  clientsOf(link: number): readonly TransportAddress[] {
    return this.#machine.clientsOf(link)
  }

  wake(): void {
    this.#wakeAt = Number.POSITIVE_INFINITY
    this.#guard(() => this.#machine.handleTimeout(this.#io.now()))
  }

  batchEnd(): void {
    for (let output = this.#machine.nextOutput(); output; output = this.#machine.nextOutput())
      this.#perform(output)
    const next = this.#machine.pollTimeout()
    // Waking too early costs less than setting the timer anew for every packet.
    if (next < this.#wakeAt) {
      this.#wakeAt = next
      this.#io.wakeAt(next)
    }
  }

  /** Application data goes on with the DSCP and ECN that it came with (RFC 8656 §14); answers of the relay have none. */
  #forward({ target, socket, to, offset, length }: Forward, buffer: Uint8Array, trafficClass: number): void {
    if (target === 'peer') {
      this.#io.sendToPeer(socket, to, buffer, offset, length, trafficClass)
      this.#countOut(this.traffic.peer, length)
    } else {
      this.#toClient(socket, to, buffer, offset, length, trafficClass)
    }
  }

  #toClient(
    link: number,
    to: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    trafficClass: number,
  ): void {
    this.#io.sendToClient(link, to, buffer, offset, length, trafficClass)
    const side = this.#sides.get(link)
    if (side) this.#countOut(side, length)
  }

  #countIn(side: SideTraffic, length: number): void {
    side.packetsIn++
    side.bytesIn += length
  }

  #countOut(side: SideTraffic, length: number): void {
    side.packetsOut++
    side.bytesOut += length
  }

  #perform(output: Output): void {
    switch (output.kind) {
      case 'transmit':
        this.#toClient(output.link, output.to, output.bytes, 0, output.bytes.length, 0)
        return
      case 'bind-relay':
        if (output.transport === 'tcp') this.#io.tcpPeers?.listen(output.relay, output.bind)
        else this.#io.bindRelay(output.relay, output.bind, { dontFragment: output.dontFragment })
        return
      case 'connect-peer':
        this.#io.tcpPeers?.connect(output.connection, output.relay, output.to)
        return
      case 'splice':
        this.#io.tcpPeers?.splice(output.connection, output.link)
        return
      case 'close-peer':
        this.#io.tcpPeers?.close(output.connection)
        return
      case 'close-relay':
        this.#io.closeRelay(output.relay)
        return
      case 'link-in-use':
        this.#io.setLinkInUse(output.link, output.inUse)
        return
      case 'close-link':
        this.#io.closeLink(output.link)
        return
      case 'pass': {
        const passed = this.#io.adoption?.give(output.link, output.client, output.bytes)
        if (passed) this.#options.onPass?.(output.loop, passed)
        return
      }
      case 'allocation-opened':
      case 'allocation-closed':
        this.#io.setLinkInUse(output.allocation.link, output.kind === 'allocation-opened')
        this.#options.onEvent(output)
        return
      case 'allocation-refreshed':
      case 'refused':
        this.#options.onEvent(output)
    }
  }

  #guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#options.onEvent({ kind: 'fault', error })
    }
  }
}
