import type { TransportAddress } from '../../stun/address.ts'
import { formatAddress } from '../../stun/address-text.ts'
import {
  type BindFailure,
  type DataSource,
  HEAD_ROOM_BYTES,
  type Link,
  TAIL_ROOM_BYTES,
} from '../../turn/contract.ts'
import type { IoHandler } from '../io.ts'

export interface Received {
  readonly socket: number
  readonly from: TransportAddress
  readonly bytes: Buffer
  readonly trafficClass: number
}

/** An IoHandler that keeps what it is told and lets a test wait for it. */
export class Recorder implements IoHandler {
  readonly links = new Map<number, Link>()
  readonly closedLinks: number[] = []
  readonly client: Received[] = []
  readonly peer: Received[] = []
  readonly bound: number[] = []
  readonly failed: [relay: number, failure: BindFailure][] = []
  readonly connected: number[] = []
  readonly closedPeers: number[] = []
  readonly spliced: Record<DataSource, number> = { client: 0, peer: 0 }
  readonly peerErrors: { relay: number; peer: string; icmp: [type: number, code: number, mtu: number] }[] = []
  wakes = 0
  batches = 0
  /** Called for each client frame before it is kept. */
  onClientData: IoHandler['clientData'] = () => undefined
  /** Called at the end of a batch with client data in it, with its last link. */
  afterClientData: (link: number) => void = () => undefined
  onPeerData: IoHandler['peerData'] = () => undefined
  /** The number that a peer's connection is given; undefined closes it. */
  onPeerConnection: IoHandler['peerConnection'] = () => undefined
  /** When more may be read. */
  onSpliced: IoHandler['splicedData'] = () => 0
  #lastLink: number | undefined
  readonly #waiters = new Set<() => void>()

  /** Resolves as soon as the condition holds; the test's own time limit ends a wait in vain. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return
        this.#waiters.delete(look)
        resolve()
      }
      this.#waiters.add(look)
      look()
    })
  }

  linkOpened(link: Link): void {
    this.links.set(link.id, link)
    this.#changed()
  }

  linkClosed(link: number): void {
    this.closedLinks.push(link)
    this.#changed()
  }

  clientData(...data: Parameters<IoHandler['clientData']>): void {
    this.onClientData(...data)
    this.client.push(received(...data))
    this.#lastLink = data[0]
  }

  peerData(...data: Parameters<IoHandler['peerData']>): void {
    this.onPeerData(...data)
    this.peer.push(received(...data))
  }

  peerConnection(relay: number, from: TransportAddress): number | undefined {
    const connection = this.onPeerConnection(relay, from)
    this.#changed()
    return connection
  }

  peerConnected(connection: number): void {
    this.connected.push(connection)
  }

  peerClosed(connection: number): void {
    this.closedPeers.push(connection)
  }

  splicedData(connection: number, link: number, source: DataSource, bytes: number): number {
    this.spliced[source] += bytes
    const more = this.onSpliced(connection, link, source, bytes)
    this.#changed()
    return more
  }

  peerError(relay: number, peer: TransportAddress, type: number, code: number, mtu: number): void {
    this.peerErrors.push({ relay, peer: formatAddress(peer), icmp: [type, code, mtu] })
  }

  relayBound(relay: number): void {
    this.bound.push(relay)
  }

  relayBindFailed(relay: number, failure: BindFailure): void {
    this.failed.push([relay, failure])
  }

  wake(): void {
    this.wakes++
  }

  batchEnd(): void {
    this.batches++
    const link = this.#lastLink
    this.#lastLink = undefined
    if (link !== undefined) this.afterClientData(link)
    this.#changed()
  }

  /** The links of streams, in the order they opened. */
  streams(): Link[] {
    return [...this.links.values()].filter((link) => link.remote)
  }

  #changed(): void {
    for (const look of [...this.#waiters]) look()
  }
}

function received(...data: Parameters<IoHandler['peerData']>): Received {
  const [socket, from, buffer, offset, length, trafficClass] = data
  return { socket, from: from.clone(), bytes: copyAndScribble(buffer, offset, length), trafficClass }
}

/** Writes over everything a machine may write over, so that a lack of room or a late read shows. */
function copyAndScribble(buffer: Uint8Array, offset: number, length: number): Buffer {
  const bytes = Buffer.from(buffer.slice(offset, offset + length))
  const start = offset - HEAD_ROOM_BYTES
  const end = offset + length + TAIL_ROOM_BYTES
  if (start < 0 || end > buffer.length) {
    throw new Error(`no room around ${length} bytes at ${offset} of ${buffer.length}`)
  }
  buffer.fill(0xee, start, end)
  return bytes
}
