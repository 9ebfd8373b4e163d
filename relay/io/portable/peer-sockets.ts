import net from 'node:net'
import type { TransportAddress } from '../../stun/address.ts'
import { formatIp, parseAddress } from '../../stun/address-text.ts'
import type { IoHandler } from '../io.ts'
import type { TcpPeers } from '../tcp-peers.ts'
import type { Arena } from './arena.ts'
import { PeerListener } from './peer-listener.ts'
import { socketFrom } from './source-port.ts'
import { Splice } from './splice.ts'
import type { StreamConnection } from './stream-connection.ts'

const KEEP_ALIVE_MS = 60_000

export interface PeerSocketsOptions {
  readonly streams: { get(link: number): Pick<StreamConnection, 'detach'> | undefined }
  readonly arena: Arena
  readonly now: () => number
  readonly handler: () => IoHandler
}

/** A connection to or from a peer. */
interface PeerSocket {
  readonly socket: net.Socket
  /** Once a client's stream is at its other end. */
  splice: Splice | undefined
}

/** TcpPeers on node:net. */
export class PeerSockets implements TcpPeers {
  readonly #options: PeerSocketsOptions
  readonly #listeners = new Map<number, PeerListener>()
  readonly #connections = new Map<number, PeerSocket>()
  /** All that are not closed yet, those included that nobody asks for any more. */
  readonly #open = new Set<net.Socket>()

  constructor(options: PeerSocketsOptions) {
    this.#options = options
  }

  listen(relay: number, bind: TransportAddress): void {
    const listener: PeerListener = new PeerListener(bind, this.#options.arena, {
      bound: () => this.#answer(relay, listener, (handler) => handler.relayBound(relay)),
      failed: ({ code }) => {
        const failure = code === 'EADDRINUSE' ? 'port-in-use' : 'unavailable'
        this.#answer(relay, listener, (handler) => {
          this.#listeners.delete(relay)
          handler.relayBindFailed(relay, failure)
        })
      },
      accepted: (socket) => this.#accept(relay, socket),
    })
    this.#listeners.set(relay, listener)
    listener.listen()
  }

  /** Whether Node's loop has sockets of these to look after. */
  get inUse(): boolean {
    return this.#listeners.size > 0 || this.#open.size > 0
  }

  /** Stops listening; connections stay. */
  closeListener(relay: number): void {
    this.#listeners.get(relay)?.close()
    this.#listeners.delete(relay)
  }

  connect(connection: number, relay: number, to: TransportAddress): void {
    const listener = this.#listeners.get(relay)
    const bound = listener && socketFrom(listener.address, listener.port)
    const socket = bound ?? new net.Socket()
    this.#add(connection, socket)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    // What the peer sends before there is a client stays in the system's buffer.
    socket.pause()
    socket.on('connect', () => {
      this.#options.handler().peerConnected(connection)
      this.#options.handler().batchEnd()
    })
    const from = bound || !listener ? {} : { localAddress: listener.address }
    socket.connect({ host: formatIp(to), port: to.port, ...from })
  }

  splice(connection: number, link: number): void {
    const peer = this.#connections.get(connection)
    const client = this.#options.streams.get(link)
    if (!peer || !client) {
      this.close(connection)
      return
    }
    const { now, handler } = this.#options
    const { stream, early } = client.detach(() => splice.end())
    const splice: Splice = new Splice(stream, peer.socket, {
      now,
      read: (source, bytes) => handler().splicedData(connection, link, source, bytes),
      ended: () => this.#ended(connection, peer),
    })
    peer.splice = splice
    splice.start(early)
  }

  close(connection: number): void {
    const peer = this.#connections.get(connection)
    this.#connections.delete(connection)
    if (peer?.splice) peer.splice.end()
    else peer?.socket.destroy()
  }

  /** Closes everything; resolves when no handle is left. */
  async closeAll(): Promise<void> {
    for (const listener of this.#listeners.values()) listener.close()
    this.#listeners.clear()
    this.#connections.clear()
    const sockets = [...this.#open]
    const closed = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)))
    for (const socket of sockets) socket.destroy()
    await Promise.all(closed)
  }

  #accept(relay: number, socket: net.Socket): void {
    const from = parseAddress(socket.remoteAddress ?? '', socket.remotePort ?? 0)
    const connection = from && this.#options.handler().peerConnection(relay, from)
    if (connection === undefined) {
      socket.on('error', () => undefined)
      socket.destroy()
    } else this.#add(connection, socket)
    this.#options.handler().batchEnd()
  }

  #add(connection: number, socket: net.Socket): void {
    const peer: PeerSocket = { socket, splice: undefined }
    this.#connections.set(connection, peer)
    this.#open.add(socket)
    // What it means shows as its close.
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#open.delete(socket)
      if (!peer.splice) this.#ended(connection, peer)
    })
  }

  #ended(connection: number, peer: PeerSocket): void {
    if (this.#connections.get(connection) !== peer) return
    this.#connections.delete(connection)
    this.#options.handler().peerClosed(connection)
    this.#options.handler().batchEnd()
  }

  /** Later than the call of `listen`, whose end it may be. */
  #answer(relay: number, listener: PeerListener, tell: (handler: IoHandler) => void): void {
    queueMicrotask(() => {
      if (this.#listeners.get(relay) !== listener) return
      tell(this.#options.handler())
      this.#options.handler().batchEnd()
    })
  }
}
