import type { AllocationEventJson, EventBatch } from '../../relay/api/allocation-events.ts'
import type { LoadReport } from '../../relay/api/load-report.ts'
import type { ClusterKey, FleetEvent } from '../controller/contract.ts'

type Reader = (event: FleetEvent) => void

/** What was passed on of a relay process. */
interface Passed {
  readonly startedAtMs: number
  sequence: number
  dropped: number
}

interface Audience {
  readonly readers: Set<Reader>
  /** By relay uid; goes with the last reader. */
  readonly passed: Map<string, Passed>
}

/** Passes allocation events of relays on to those who read; keeps none, and has relays send none while nobody does. */
export class EventHub {
  readonly #audiences = new Map<ClusterKey, Audience>()

  wanted(key: ClusterKey): boolean {
    return this.#audiences.has(key)
  }

  /** Calls the reader with each event until the returned function is called; it must return at once. */
  read(key: ClusterKey, reader: Reader): () => void {
    const audience = this.#audiences.get(key) ?? { readers: new Set(), passed: new Map() }
    this.#audiences.set(key, audience)
    audience.readers.add(reader)
    return () => {
      audience.readers.delete(reader)
      if (audience.readers.size === 0 && this.#audiences.get(key) === audience) this.#audiences.delete(key)
    }
  }

  /** A batch may come twice, where its answer was lost: each event is passed on once. */
  take({ cluster, uid, name, startedAtMs }: LoadReport, batch: EventBatch): void {
    const audience = this.#audiences.get(cluster)
    if (!audience) return
    const known = audience.passed.get(uid)
    const passed =
      known?.startedAtMs === startedAtMs ? known : { startedAtMs, sequence: 0, dropped: batch.dropped }
    audience.passed.set(uid, passed)
    const tell = (event: FleetEvent) => {
      for (const reader of audience.readers) reader(event)
    }
    if (batch.dropped > passed.dropped)
      tell({ kind: 'gap', relay: name, dropped: batch.dropped - passed.dropped })
    passed.dropped = batch.dropped
    for (const event of batch.events) {
      if (event.sequence <= passed.sequence) continue
      passed.sequence = event.sequence
      tell(withRelay(name, event))
    }
  }
}

function withRelay(relay: string, event: AllocationEventJson): FleetEvent {
  return { relay, ...event }
}
