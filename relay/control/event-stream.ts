import type { ServerResponse } from 'node:http'
import type { EventFeed } from './event-feed.ts'

/** Readers of one relay at the same time. */
const READERS_MAX = 8
/** What may wait for a reader; beyond it events are left out and counted. */
const WAITING_BYTES_MAX = 1_048_576
/** A reader that takes nothing for so long is closed. */
const STUCK_MS = 30_000
/** An empty line now and then lets both ends notice that the other one is gone. */
const HEARTBEAT_MS = 10_000

/** `/events`: allocation events as JSON lines, as they happen, until the reader goes. */
export class EventStreams {
  readonly #feed: EventFeed
  #readers = 0

  constructor(feed: EventFeed) {
    this.#feed = feed
  }

  /** False where there are too many readers. */
  open(response: ServerResponse): boolean {
    if (this.#readers >= READERS_MAX) return false
    this.#readers++
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' })
    response.flushHeaders()
    let dropped = 0
    let stuckSinceMs: number | undefined
    const write = (line: string): boolean => {
      if (response.writableLength > WAITING_BYTES_MAX) return false
      if (dropped > 0) response.write(`${JSON.stringify({ kind: 'gap', dropped })}\n`)
      dropped = 0
      response.write(line)
      return true
    }
    const stop = this.#feed.read((event) => {
      if (!write(`${JSON.stringify(event)}\n`)) dropped++
    })
    const heartbeat = setInterval(() => {
      if (write('\n')) stuckSinceMs = undefined
      else stuckSinceMs ??= performance.now()
      if (stuckSinceMs !== undefined && performance.now() - stuckSinceMs >= STUCK_MS) response.destroy()
    }, HEARTBEAT_MS)
    response.once('close', () => {
      clearInterval(heartbeat)
      stop()
      this.#readers--
    })
    return true
  }
}
