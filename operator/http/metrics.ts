import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { LoadReport } from '../../relay/api/load-report.ts'
import type { ClusterKey, Fleet } from '../controller/contract.ts'

const PREFIX = 'turnfleet_operator_'
/** Relays that get a label of their own; the rest are added up under `other`. */
const RELAY_LABELS_MAX = 500
const OTHER = 'other'

/** What the HTTP server counts. */
export interface OperatorMetrics {
  requestEnded(route: string, status: number, seconds: number): void
  iceAnswered(cluster: ClusterKey, result: 'issued' | 'unavailable'): void
}

/** Registers the server's own counters and, read at each scrape, what the relays reported. */
export function operatorMetrics(registry: Registry, fleet: Fleet, nowMs: () => number): OperatorMetrics {
  const requests = new Counter({
    name: `${PREFIX}http_requests_total`,
    help: 'HTTP requests answered, by route and status.',
    labelNames: ['route', 'status'],
    registers: [registry],
  })
  const durations = new Histogram({
    name: `${PREFIX}http_request_duration_seconds`,
    help: 'Time from the request to the end of its answer, by route.',
    labelNames: ['route'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2],
    registers: [registry],
  })
  const iceAnswers = new Counter({
    name: `${PREFIX}ice_answers_total`,
    help: 'Answers of /v1/ice: issued, or unavailable because no relay was ready.',
    labelNames: ['cluster', 'result'],
    registers: [registry],
  })
  relayGauges(registry, fleet, nowMs)
  return {
    requestEnded(route, status, seconds) {
      requests.inc({ route, status })
      durations.observe({ route }, seconds)
    },
    iceAnswered: (cluster, result) => iceAnswers.inc({ cluster, result }),
  }
}

interface RelayFigure {
  name: string
  help: string
  /** Grows only, while the relay's process lives. */
  counter?: true
  read(report: LoadReport, ageSeconds: number): number
}

const RELAY_FIGURES: RelayFigure[] = [
  { name: 'relay_allocations', help: 'Live allocations.', read: (report) => report.allocations },
  { name: 'relay_capacity', help: 'Allocations that the relay takes.', read: (report) => report.capacity },
  {
    name: 'relay_allocations_opened_total',
    help: 'Allocations opened since the relay started.',
    counter: true,
    read: (report) => report.allocationsOpenedTotal,
  },
  {
    name: 'relay_bytes_total',
    help: 'Relayed bytes, both directions.',
    counter: true,
    read: (r) => r.bytesTotal,
  },
  {
    name: 'relay_packets_total',
    help: 'Relayed packets, both directions.',
    counter: true,
    read: (report) => report.packetsTotal,
  },
  {
    name: 'relay_offloaded_packets_total',
    help: 'Relayed packets that the kernel forwarded.',
    counter: true,
    read: (report) => report.offloadedPacketsTotal ?? 0,
  },
  {
    name: 'relay_cpu_seconds_total',
    help: 'CPU time of the relay.',
    counter: true,
    read: (report) => report.cpuSecondsTotal,
  },
  { name: 'relay_resident_memory_bytes', help: 'Memory of the relay.', read: (report) => report.rssBytes },
  {
    name: 'relay_draining',
    help: '1 while the relay drains.',
    read: ({ state }) => (state === 'draining' || state === 'drained' ? 1 : 0),
  },
  { name: 'relay_report_age_seconds', help: 'Age of the last report.', read: (_, ageSeconds) => ageSeconds },
]

function relayGauges(registry: Registry, fleet: Fleet, nowMs: () => number): void {
  const relays = function* () {
    let labelled = 0
    for (const cluster of fleet.publishedKeys()) {
      for (const { report, receivedAtMs } of fleet.loads(cluster).values()) {
        const relay = labelled++ < RELAY_LABELS_MAX ? report.name : OTHER
        yield { labels: { cluster, relay }, report, ageSeconds: Math.max(0, nowMs() - receivedAtMs) / 1000 }
      }
    }
  }
  const labelNames = ['cluster', 'relay']
  for (const { name, help, counter, read } of RELAY_FIGURES) {
    const common = { name: PREFIX + name, help, labelNames, registers: [registry] }
    const fill = (metric: Counter | Gauge) => {
      metric.reset()
      for (const { labels, report, ageSeconds } of relays()) metric.inc(labels, read(report, ageSeconds))
    }
    if (counter) {
      new Counter({
        ...common,
        collect() {
          fill(this)
        },
      })
    } else {
      new Gauge({
        ...common,
        collect() {
          fill(this)
        },
      })
    }
  }
  new Gauge({
    name: `${PREFIX}ready_relays`,
    help: 'Relays that clients are sent to.',
    labelNames: ['cluster'],
    registers: [registry],
    collect() {
      this.reset()
      for (const cluster of fleet.publishedKeys()) {
        this.set({ cluster }, fleet.published(cluster)?.relays.length ?? 0)
      }
    },
  })
}
