import type { ShardEvent } from '../shard/shard.ts'
import { formatAddress } from '../stun/address-text.ts'
import type { Refused } from '../turn/contract.ts'
import type { RefusalReason } from '../turn/refusals.ts'
import type { Logger } from './log.ts'

/** Lines of one reason that a window may bring. */
const LINES_PER_WINDOW = 10
const WINDOW_MS = 10_000

/**
 * Writes what happens beside the packet path: single allocations at debug only; refusals, one line each that
 * says why, and faults. Of each reason at most ten lines in ten seconds are written, the rest is counted, so
 * that a flood of one hides no other. 438 is how nonces are renewed and is no news.
 */
export class EventLog {
  readonly #log: Logger
  readonly #nowMs: () => number
  /** By reason: a fixed set. */
  readonly #windows = new Map<RefusalReason | 'fault', Window>()

  constructor(log: Logger, nowMs: () => number) {
    this.#log = log
    this.#nowMs = nowMs
  }

  write(event: ShardEvent): void {
    switch (event.kind) {
      case 'allocation-opened':
      case 'allocation-refreshed':
      case 'allocation-closed':
        if (this.#log.isLevelEnabled('debug')) this.#log.debug(allocationFields(event), event.kind)
        return
      case 'refused':
        if (event.reason === 'stale-nonce') return
        this.#limited(event.reason, (suppressed) => {
          this.#log.info({ ...refusalFields(event), suppressed }, 'request refused')
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

  #limited(reason: RefusalReason | 'fault', line: (suppressed: number | undefined) => void): void {
    const window = this.#window(reason)
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

  #window(reason: RefusalReason | 'fault'): Window {
    const known = this.#windows.get(reason)
    if (known) return known
    const window = { startMs: Number.NEGATIVE_INFINITY, lines: 0, suppressed: 0 }
    this.#windows.set(reason, window)
    return window
  }
}

interface Window {
  startMs: number
  lines: number
  suppressed: number
}

/** Why a request was refused, and whose it was: `peer-special:private-use` with the peer and the block it is in. */
function refusalFields({ method, code, reason, transport, client, user, peer }: Refused) {
  return {
    method,
    code,
    reason: peer ? `${reason}:${peer.rule}` : reason,
    ...(peer && { peer: formatAddress(peer.address) }),
    ...(peer?.network !== undefined && { network: peer.network }),
    client: formatAddress(client),
    ...(transport && { transport }),
    ...(user !== undefined && { user }),
  }
}

function allocationFields(
  event: Extract<ShardEvent, { kind: 'allocation-opened' | 'allocation-refreshed' | 'allocation-closed' }>,
) {
  const { allocation, username, keyId, transport, client, relayTransport, relayed } = event.allocation
  const fields = {
    allocation,
    username,
    keyId,
    transport,
    client: formatAddress(client),
    relayTransport,
    relayed: relayed.map(formatAddress),
  }
  if (event.kind === 'allocation-opened') return fields
  const { durationMs, clientBytes, clientPackets, peerBytes, peerPackets } = event
  const why =
    event.kind === 'allocation-closed' ? { reason: event.reason } : { lifetimeSeconds: event.lifetimeSeconds }
  return { ...fields, ...why, durationMs, clientBytes, clientPackets, peerBytes, peerPackets }
}
