import net from 'node:net'
import { type Duplex, pipeline } from 'node:stream'
import { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from '../constants.ts'
import { checked, socketpair } from '../ffi.ts'
import type { Memory } from '../memory.ts'

/** How long a client may take to close its stream when the other loop has closed it. */
const CLOSE_GRACE_MS = 10_000

/** TLS streams whose clients other event loops have: this one has their keys, and passes what they carry. */
export class StreamBridges {
  readonly #memory: Memory
  readonly #pair: number
  readonly #open = new Set<net.Socket>()

  constructor(memory: Memory) {
    this.#memory = memory
    this.#pair = memory.take(8)
  }

  /** Whether Node's loop has sockets of these to look after. */
  get inUse(): boolean {
    return this.#open.size > 0
  }

  /** The descriptor of a stream that carries what this one does, to be closed by who gets it; throws what the system says. */
  open(stream: Duplex): number {
    const flags = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC
    checked('socketpair', socketpair(AF_UNIX, flags, 0, this.#memory.address(this.#pair)))
    const { i32 } = this.#memory
    const end = new net.Socket({
      fd: i32[this.#pair >> 2]!,
      readable: true,
      writable: true,
      allowHalfOpen: true,
    })
    this.#open.add(end)
    end.on('close', () => this.#open.delete(end))
    // Its client may never say goodbye.
    let grace: NodeJS.Timeout | undefined
    end.on('end', () => {
      grace = setTimeout(() => stream.destroy(), CLOSE_GRACE_MS)
    })
    stream.on('close', () => clearTimeout(grace))
    pipeline(stream, end, stream, () => stream.destroy())
    return i32[(this.#pair >> 2) + 1]!
  }

  close(): void {
    for (const end of this.#open) end.destroy()
  }
}
