import { type AllocationEventJson, EVENTS_PER_REPORT_MAX, type EventBatch } from '../api/allocation-events.ts'
import type { ShardEvent } from '../shard/shard.ts'
import { formatAddress } from '../stun/address-text.ts'

type AllocationShardEvent = Extract<
  ShardEvent,
  { kind: 'allocation-opened' | 'allocation-refreshed' | 'allocation-closed' }
>

/** Somebody who reads events as they come; must return at once. */
export type EventReader = (event: AllocationEventJson) => void

/** Events that wait for a report: the busiest seconds of a relay, and no more while the operator is away. */
const WAITING_MAX = 4 * EVENTS_PER_REPORT_MAX

/**
 * Allocation events for those who ask: readers of `/events`, and the operator while it has readers of its own.
 * While nobody asks, nothing is made of them. Nothing here waits for anybody: what does not fit is dropped and
 * counted.
 */
export class EventFeed {
  readonly #unixMs: () => number
  readonly #changed: (wanted: boolean) => void
  readonly #readers = new Set<EventReader>()
  #reported = false
  #waiting: AllocationEventJson[] = []
  #dropped = 0
  #sequence = 0

  /** `changed` hears when somebody begins to ask, and when nobody does any more. */
  constructor(unixMs: () => number, changed: (wanted: boolean) => void) {
    this.#unixMs = unixMs
    this.#changed = changed
  }

  get wanted(): boolean {
    return this.#reported || this.#readers.size > 0
  }

  write(event: AllocationShardEvent): void {
    if (!this.wanted) return
    const json = this.#json(event)
    for (const reader of this.#readers) reader(json)
    if (!this.#reported) return
    if (this.#waiting.length >= WAITING_MAX) this.#dropped++
    else this.#waiting.push(json)
  }

  /** Calls the reader with each event until the returned function is called. */
  read(reader: EventReader): () => void {
    this.#change(() => this.#readers.add(reader))
    return () => this.#change(() => this.#readers.delete(reader))
  }

  /** Whether the operator wants events with the reports. */
  report(wanted: boolean): void {
    this.#change(() => {
      this.#reported = wanted
      if (!wanted) this.#waiting = []
    })
  }

  /** What the next report carries, undefined where nobody asked; it stays until `confirm`. */
  batch(): EventBatch | undefined {
    if (!this.#reported) return undefined
    return { dropped: this.#dropped, events: this.#waiting.slice(0, EVENTS_PER_REPORT_MAX) }
  }

  /** The operator has these. */
  confirm({ events }: EventBatch): void {
    const last = events.at(-1)?.sequence ?? 0
    this.#waiting = this.#waiting.filter(({ sequence }) => sequence > last)
  }

  #change(change: () => void): void {
    const before = this.wanted
    change()
    if (this.wanted !== before) this.#changed(this.wanted)
  }

  #json(event: AllocationShardEvent): AllocationEventJson {
    const { allocation, username, keyId, realm, transport, client, relayed } = event.allocation
    const common = {
      // Event loops have clocks of their own.
      atMs: this.#unixMs(),
      sequence: ++this.#sequence,
      allocation,
      username,
      keyId,
      realm,
      transport,
      client: formatAddress(client),
      relayed: relayed.map(formatAddress),
    }
    switch (event.kind) {
      case 'allocation-opened':
        return { kind: 'opened', ...common }
      case 'allocation-refreshed':
        return {
          kind: 'refreshed',
          ...common,
          lifetimeSeconds: event.lifetimeSeconds,
          traffic: trafficOf(event),
        }
      case 'allocation-closed':
        return { kind: 'closed', ...common, reason: event.reason, traffic: trafficOf(event) }
    }
  }
}

function trafficOf(event: Exclude<AllocationShardEvent, { kind: 'allocation-opened' }>) {
  const { durationMs, clientBytes, clientPackets, peerBytes, peerPackets } = event
  return { durationMs: Math.round(durationMs), clientBytes, clientPackets, peerBytes, peerPackets }
}
