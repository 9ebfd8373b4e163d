import { connect, type Socket } from 'node:net'
import type { HandedListeners } from '../../io/hand-over.ts'
import { LineChannel } from './line-channel.ts'
import { type FromPredecessor, type FromSuccessor, fromPredecessor } from './messages.ts'

/** Giving a socket to each client takes the other relay a while. */
const PASSED_MS = 60_000
const YOURS_MS = 5_000

interface Box {
  readonly path: string
  take(): number[]
  close(): void
}

/** The other end of `HandOverDesk`: asks the relay there is for its listeners. */
export class TakeOver {
  readonly #channel: LineChannel<FromPredecessor, FromSuccessor>

  /** Undefined where there is no relay at this path. */
  static async reach(path: string): Promise<TakeOver | undefined> {
    const socket = await reached(path)
    return socket && new TakeOver(socket)
  }

  private constructor(socket: Socket) {
    this.#channel = new LineChannel(socket, fromPredecessor)
  }

  /** The sockets; what is sent to them waits until they are read. */
  async take(box: Box): Promise<HandedListeners> {
    this.#channel.send({ kind: 'take', box: box.path })
    const answer = await this.#channel.next(PASSED_MS)
    if (answer.kind === 'refused')
      throw new Error(`the other relay does not hand its listeners over: ${answer.why}`)
    if (answer.kind !== 'passed') throw new Error('the other relay has not handed its listeners over')
    const descriptors = box.take()
    if (descriptors.length !== answer.sockets.length)
      throw new Error(
        `the other relay has handed ${answer.sockets.length} listeners over, and ${descriptors.length} came`,
      )
    return {
      sockets: answer.sockets.map((socket, index) => ({ ...socket, descriptor: descriptors[index]! })),
      cookieSecrets: answer.cookieSecrets.map((secret) => Buffer.from(secret, 'base64')),
    }
  }

  /** The listeners are served here: returns when the other relay has let go of them. */
  async confirm(): Promise<void> {
    this.#channel.send({ kind: 'serving' })
    const answer = await this.#channel.next(YOURS_MS)
    if (answer.kind !== 'yours') throw new Error('the other relay has taken its listeners back')
    this.#channel.close()
  }

  /** The other relay keeps its listeners. */
  abandon(): void {
    this.#channel.abort()
  }
}

/** Undefined where nobody listens. */
function reached(path: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined)
      else reject(new Error(`cannot ask at handOver.socket ${path}: ${error.message}`))
    })
  })
}
