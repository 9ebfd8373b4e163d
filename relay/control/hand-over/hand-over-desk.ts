import { rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { HandedListeners } from '../../io/hand-over.ts'
import type { Logger } from '../log.ts'
import { LineChannel } from './line-channel.ts'
import { type FromPredecessor, type FromSuccessor, fromSuccessor } from './messages.ts'

/** From the connection to the request. */
const ASK_MS = 5_000
/** From the listeners to the word that they are served: so long new clients may wait for an answer. */
const SERVING_MS = 5_000
/** Relays that ask at the same time. */
const CONNECTIONS_MAX = 4
/** Only this user, and root, may ask. */
const UMASK = 0o177

/** What a relay does when it is asked for its listeners. */
export interface Handing {
  /** The sockets, which are not read any more; rejects where this cannot be. */
  release(): Promise<HandedListeners>
  /** Reads them again. */
  takeBack(why: string): void
  /** They are another relay's. */
  finish(): Promise<void>
}

interface DeskOptions {
  readonly path: string
  readonly handing: Handing
  /** Sends descriptors to the box at a path. */
  readonly put: (box: string, descriptors: readonly number[]) => void
  readonly log: Logger
}

/** Where a relay that takes over asks this one for its listeners: a Unix socket that only the same user may open. */
export class HandOverDesk {
  readonly #options: DeskOptions
  readonly #server: Server
  #busy = false

  constructor(options: DeskOptions) {
    this.#options = options
    this.#server = createServer((socket) => void this.#serve(socket))
    this.#server.maxConnections = CONNECTIONS_MAX
  }

  /** Rejects where another relay is to be asked at this path. */
  async open(): Promise<void> {
    const { path } = this.#options
    if (await answers(path))
      throw new Error(
        `another relay has handOver.socket ${path}: start with --take-over to take its listeners, or set another path`,
      )
    // What a process has left that was killed.
    rmSync(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) => reject(new Error(`cannot listen on ${path}: ${error.message}`)))
      const umask = process.umask(UMASK)
      this.#server.listen(path, resolve)
      process.umask(umask)
    })
  }

  /** Frees the path at once. */
  close(): void {
    if (this.#server.listening) this.#server.close()
  }

  async #serve(socket: Socket): Promise<void> {
    const channel = new LineChannel<FromSuccessor, FromPredecessor>(socket, fromSuccessor)
    try {
      if (this.#busy) throw new Error('another relay is taking over already')
      this.#busy = true
      try {
        await this.#handOver(channel)
      } finally {
        this.#busy = false
      }
      channel.close()
    } catch (error) {
      const why = (error as Error).message
      this.#options.log.warn({ why }, 'the listeners were not handed over')
      channel.send({ kind: 'refused', why })
      channel.close()
    }
  }

  async #handOver(channel: LineChannel<FromSuccessor, FromPredecessor>): Promise<void> {
    const { handing, put } = this.#options
    const request = await channel.next(ASK_MS)
    if (request.kind !== 'take') throw new Error('the other relay has not asked for the listeners')
    const { sockets, cookieSecrets } = await handing.release()
    try {
      put(
        request.box,
        sockets.map(({ descriptor }) => descriptor),
      )
      channel.send({
        kind: 'passed',
        sockets: sockets.map(({ transport, address, port }) => ({ transport, address, port })),
        cookieSecrets: cookieSecrets.map((secret) => Buffer.from(secret).toString('base64')),
      })
      const answer = await channel.next(SERVING_MS)
      if (answer.kind !== 'serving') throw new Error('the other relay does not say that it serves')
    } catch (error) {
      handing.takeBack((error as Error).message)
      throw error
    }
    this.close()
    await handing.finish()
    channel.send({ kind: 'yours' })
  }
}

/** Whether somebody listens at the path of a Unix socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
