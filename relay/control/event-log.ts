import type { ShardEvent } from '../shard/shard.ts'
import { formatAddress } from '../stun/address-text.ts'
import type { Logger } from './log.ts'

/** Lines of one kind that a window may bring. */
const LINES_PER_WINDOW = 10
const WINDOW_MS = 10_000

/**
 * Writes what happens on the packet path: single allocations and clients' addresses at debug only; refusals
 * and faults at most ten in ten seconds, the rest counted. 401 and 438 are how TURN begins and are no news.
 */
export class EventLog {
  readonly #log: Logger
  readonly #nowMs: () => number
  readonly #windows = { refused: newWindow(), fault: newWindow() }

  constructor(log: Logger, nowMs: () => number) {
    this.#log = log
    this.#nowMs = nowMs
  }

  write(event: ShardEvent): void {
    switch (event.kind) {
      case 'allocation-opened':
      case 'allocation-closed':
        if (this.#log.isLevelEnabled('debug')) this.#log.debug(allocationFields(event), event.kind)
        return
      case 'refused':
        if (event.code === 401 || event.code === 438) return
        this.#limited('refused', (suppressed) => {
          const { method, code, reason } = event
          this.#log.info({ method, code, reason, suppressed }, 'request refused')
        })
        return
      case 'fault':
        this.#limited('fault', (suppressed) => {
          this.#log.error(
            { err: event.error, suppressed },
            'a packet was dropped because of a fault of the relay',
          )
        })
    }
  }

  #limited(kind: 'refused' | 'fault', line: (suppressed: number | undefined) => void): void {
    const window = this.#windows[kind]
    const now = this.#nowMs()
    if (now - window.startMs >= WINDOW_MS) {
      window.startMs = now
      window.lines = 0
    }
    if (window.lines >= LINES_PER_WINDOW) {
      window.suppressed++
      return
    }
    window.lines++
    line(window.suppressed || undefined)
    window.suppressed = 0
  }
}

function newWindow() {
  return { startMs: Number.NEGATIVE_INFINITY, lines: 0, suppressed: 0 }
}

function allocationFields(event: Extract<ShardEvent, { kind: 'allocation-opened' | 'allocation-closed' }>) {
  const { allocation, username, keyId, transport, client, relayed } = event.allocation
  const fields = {
    allocation,
    username,
    keyId,
    transport,
    client: formatAddress(client),
    relayed: relayed.map(formatAddress),
  }
  if (event.kind === 'allocation-opened') return fields
  const { reason, durationMs, clientBytes, clientPackets, peerBytes, peerPackets } = event
  return { ...fields, reason, durationMs, clientBytes, clientPackets, peerBytes, peerPackets }
}
