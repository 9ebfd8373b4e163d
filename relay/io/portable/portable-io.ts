import { randomBytes } from 'node:crypto'
import type { TransportAddress } from '../../stun/address.ts'
import { formatIp, parseAddress } from '../../stun/address-text.ts'
import { NumberMap } from '../../stun/number-map.ts'
import {
  type BoundListener,
  type IoHandler,
  LISTENER_BUFFER_BYTES,
  type ListenerOptions,
  newIoCounters,
  RELAY_BUFFER_BYTES,
  type RelayIo,
  type StreamLimits,
  type TlsMaterial,
} from '../io.ts'
import { listenError } from '../listen-error.ts'
import { ProxiedDatagrams } from '../proxy/proxied-datagrams.ts'
import { Arena } from './arena.ts'
import { PeerSockets } from './peer-sockets.ts'
import { secureContext } from './secure-context.ts'
import { Streams } from './streams.ts'
import { UdpSocket } from './udp-socket.ts'

const TIMER_MAX_MS = 2_147_483_647

/** `proxied` where balancers put a header in front of datagrams. */
interface UdpListener {
  readonly socket: UdpSocket
  readonly proxied: ProxiedDatagrams | undefined
}

/** RelayIo on node:dgram, node:net and node:tls: any operating system, one thread, no privilege. */
export class PortableIo implements RelayIo {
  readonly counters = newIoCounters()
  readonly #arena = new Arena()
  readonly #udpListeners = new Map<number, UdpListener>()
  readonly #relays = new NumberMap<UdpSocket>()
  readonly #streams: Streams
  readonly tcpPeers: PeerSockets
  #handler: IoHandler | undefined
  #lastId = 0
  #timer: NodeJS.Timeout | undefined

  constructor() {
    this.#streams = new Streams({
      now: this.now,
      nextLinkId: () => ++this.#lastId,
      counters: this.counters,
      handler: () => this.#started(),
    })
    this.tcpPeers = new PeerSockets({
      streams: this.#streams,
      arena: this.#arena,
      now: this.now,
      handler: () => this.#started(),
    })
  }

  start(handler: IoHandler): void {
    this.#handler = handler
  }

  now(): number {
    return performance.now()
  }

  wakeAt(atMs: number): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (atMs === Number.POSITIVE_INFINITY) return
    // One more millisecond, because a timer may fire up to one early on the clock of now().
    const delay = Math.min(TIMER_MAX_MS, Math.max(0, Math.ceil(atMs - this.now()) + 1))
    this.#timer = setTimeout(() => {
      this.#started().wake()
      this.#started().batchEnd()
    }, delay)
  }

  setStreamLimits(limits: StreamLimits): void {
    this.#streams.limits = limits
  }

  async listen(options: ListenerOptions): Promise<BoundListener> {
    const id = ++this.#lastId
    try {
      if (options.protocol === 'dtls') {
        throw new Error('this relay began without DTLS; start it anew, with datapath auto or batched')
      }
      if (options.protocol === 'udp') return await this.#listenUdp(id, options)
      const { address, port } = await this.#streams.listen(id, options.protocol, options)
      return { id, protocol: options.protocol, address, port }
    } catch (error) {
      throw listenError(options, error as NodeJS.ErrnoException)
    }
  }

  async closeListener(id: number): Promise<void> {
    const udp = this.#udpListeners.get(id)
    if (!udp) return this.#streams.closeListener(id)
    this.#udpListeners.delete(id)
    await udp.socket.close()
    this.#started().linkClosed(id)
    this.#started().batchEnd()
  }

  setTls(material: TlsMaterial): void {
    this.#streams.secureContext = secureContext(material)
  }

  bindRelay(relay: number, bind: TransportAddress, _options: { dontFragment: boolean }): void {
    const handler = this.#started()
    const socket: UdpSocket = new UdpSocket(
      { address: formatIp(bind), port: bind.port, bufferBytes: RELAY_BUFFER_BYTES },
      this.#arena,
      {
        bound: () => {
          this.#answer(relay, socket, () => handler.relayBound(relay))
        },
        failed: (error) => {
          const failure = error.code === 'EADDRINUSE' ? 'port-in-use' : 'unavailable'
          this.#answer(relay, socket, () => {
            this.#relays.delete(relay)
            handler.relayBindFailed(relay, failure)
          })
        },
        received: (from, buffer, offset, length) => {
          handler.peerData(relay, from, buffer, offset, length, 0)
          handler.batchEnd()
        },
        sendFailed: () => void this.counters.sendErrors++,
      },
    )
    this.#relays.set(relay, socket)
    socket.bind()
  }

  closeRelay(relay: number): void {
    const socket = this.#relays.get(relay)
    this.#relays.delete(relay)
    void socket?.close()
    this.tcpPeers.closeListener(relay)
  }

  sendToClient(link: number, to: TransportAddress, buffer: Uint8Array, offset: number, length: number): void {
    const udp = this.#udpListeners.get(link)
    if (udp) udp.socket.send(udp.proxied?.wayTo(to) ?? to, buffer, offset, length)
    else this.#streams.get(link)?.send(buffer, offset, length)
  }

  sendToPeer(relay: number, to: TransportAddress, buffer: Uint8Array, offset: number, length: number): void {
    this.#relays.get(relay)?.send(to, buffer, offset, length)
  }

  closeLink(link: number): void {
    this.#streams.get(link)?.end()
  }

  setLinkInUse(link: number, inUse: boolean): void {
    this.#streams.get(link)?.setInUse(inUse)
  }

  async close(): Promise<void> {
    const listeners = [...this.#udpListeners.values()].map(({ socket }) => socket)
    const sockets = [...listeners, ...this.#relays.values()]
    this.#udpListeners.clear()
    this.#relays.clear()
    await Promise.all([
      this.#streams.close(),
      this.tcpPeers.closeAll(),
      ...sockets.map((socket) => socket.close()),
    ])
    // The batches that closing ended may have set it again.
    this.wakeAt(Number.POSITIVE_INFINITY)
  }

  #listenUdp(id: number, { address, port, proxyFrom }: ListenerOptions): Promise<BoundListener> {
    const handler = this.#started()
    const proxied = proxyFrom && this.#proxiedDatagrams(proxyFrom)
    return new Promise((resolve, reject) => {
      const socket: UdpSocket = new UdpSocket(
        { address, port, bufferBytes: LISTENER_BUFFER_BYTES },
        this.#arena,
        {
          bound: (boundAddress, boundPort) => {
            queueMicrotask(() => {
              this.#udpListeners.set(id, { socket, proxied })
              const local = parseAddress(boundAddress, boundPort)!
              handler.linkOpened({ id, transport: 'udp', local, remote: undefined })
              resolve({ id, protocol: 'udp', address: boundAddress, port: boundPort })
            })
          },
          failed: reject,
          received: (from, buffer, offset, length) => {
            if (!proxied) handler.clientData(id, from, buffer, offset, length, 0)
            else if (proxied.open(from, buffer, offset, length)) {
              handler.clientData(id, proxied.client, buffer, proxied.offset, proxied.length, 0)
            }
            handler.batchEnd()
          },
          sendFailed: () => void this.counters.sendErrors++,
        },
      )
      socket.bind()
    })
  }

  #proxiedDatagrams(from: readonly string[]): ProxiedDatagrams {
    const seed = randomBytes(4).readUInt32LE()
    return new ProxiedDatagrams({ from, counters: this.counters, now: this.now, seed })
  }

  /** Binding ends within the call on some systems; the answer must not come before `bindRelay` has returned. */
  #answer(relay: number, socket: UdpSocket, tell: () => void): void {
    queueMicrotask(() => {
      if (this.#relays.get(relay) !== socket) return
      tell()
      this.#started().batchEnd()
    })
  }

  #started(): IoHandler {
    if (!this.#handler) throw new Error('PortableIo: call start() before anything else')
    return this.#handler
  }
}
