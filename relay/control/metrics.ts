import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { type MetricSpec, RELAY_METRICS, type RelayMetric } from '../api/metrics.ts'
import { LOOP_TIME_BOUNDS_MS } from '../shard/loop-times.ts'
import type { RelayStatus } from './status.ts'

/** How often the delay of the event loop is sampled: often enough to see a stall, seldom enough to idle. */
const EVENT_LOOP_SAMPLE_MS = 100

type Sample = readonly [
  value: number,
  labels?: Record<string, string | number>,
  part?: '_bucket' | '_sum' | '_count',
]

/** The text of `/metrics`, made of the counters that the relay keeps anyway. */
export class Metrics {
  readonly #registry = new Registry()

  constructor(status: () => RelayStatus) {
    collectDefaultMetrics({
      register: this.#registry,
      prefix: 'turnfleet_relay_',
      eventLoopMonitoringPrecision: EVENT_LOOP_SAMPLE_MS,
    })
    for (const [name, spec] of Object.entries(RELAY_METRICS)) {
      this.#register(name, spec, () => SAMPLES[name as RelayMetric](status()))
    }
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  render(): Promise<string> {
    return this.#registry.metrics()
  }

  #register(name: string, { kind, help, labels = [] }: MetricSpec, samples: () => Sample[]): void {
    const options = { name, help, labelNames: [...labels], registers: [this.#registry] }
    if (kind === 'gauge') {
      new Gauge({
        ...options,
        collect() {
          this.reset()
          for (const [value, of = {}] of samples()) this.set(of, value)
        },
      })
    } else if (kind === 'histogram') {
      new CountedHistogram(options, samples)
    } else {
      new Counter({
        ...options,
        collect() {
          this.reset()
          for (const [value, of = {}] of samples()) this.inc(of, value)
        },
      })
    }
  }
}

/** A histogram whose observations were counted elsewhere. */
class CountedHistogram extends Histogram {
  readonly #options: { readonly name: string; readonly help: string }
  readonly #samples: () => Sample[]

  constructor(options: ConstructorParameters<typeof Histogram>[0], samples: () => Sample[]) {
    super(options)
    this.#options = options
    this.#samples = samples
  }

  /** What the registry asks for. */
  async getForPromString() {
    const { name, help } = this.#options
    const values = this.#samples().map(([value, labels = {}, part = '']) => {
      return { value, labels, metricName: `${name}${part}` }
    })
    return { name, help, type: 'histogram', values }
  }
}

const STATES = ['starting', 'serving', 'draining', 'drained'] as const

const SAMPLES: Record<RelayMetric, (status: RelayStatus) => Sample[]> = {
  turnfleet_relay_info: ({ version }) => [[1, { version }]],
  turnfleet_relay_state: ({ state }) => STATES.map((one) => [one === state ? 1 : 0, { state: one }]),
  turnfleet_relay_allocations: ({ allocations }) => [[allocations]],
  turnfleet_relay_allocation_capacity: ({ capacity }) => [[capacity]],
  turnfleet_relay_permissions: ({ permissions }) => [[permissions]],
  turnfleet_relay_channels: ({ channels }) => [[channels]],
  turnfleet_relay_peer_connections: ({ peerConnections }) => [[peerConnections]],
  turnfleet_relay_peer_connections_total: ({ counters }) => byKey(counters.peerConnections, 'event'),
  turnfleet_relay_allocations_opened_total: ({ counters }) => [[counters.opened]],
  turnfleet_relay_allocations_closed_total: ({ counters }) => byKey(counters.closed, 'reason'),
  turnfleet_relay_relayed_packets_total: ({ counters }) => [
    [counters.clientPackets, { from: 'client' }],
    [counters.peerPackets, { from: 'peer' }],
  ],
  turnfleet_relay_relayed_bytes_total: ({ counters }) => [
    [counters.clientBytes, { from: 'client' }],
    [counters.peerBytes, { from: 'peer' }],
  ],
  turnfleet_relay_offloaded_packets_total: ({ counters: { offloaded } }) => [
    [offloaded.clientPackets, { from: 'client' }],
    [offloaded.peerPackets, { from: 'peer' }],
  ],
  turnfleet_relay_offloaded_bytes_total: ({ counters: { offloaded } }) => [
    [offloaded.clientBytes, { from: 'client' }],
    [offloaded.peerBytes, { from: 'peer' }],
  ],
  turnfleet_relay_packets_total: ({ traffic }) =>
    Object.entries(traffic).flatMap(([transport, { packetsIn, packetsOut }]): Sample[] => [
      [packetsIn, { transport, direction: 'in' }],
      [packetsOut, { transport, direction: 'out' }],
    ]),
  turnfleet_relay_bytes_total: ({ traffic }) =>
    Object.entries(traffic).flatMap(([transport, { bytesIn, bytesOut }]): Sample[] => [
      [bytesIn, { transport, direction: 'in' }],
      [bytesOut, { transport, direction: 'out' }],
    ]),
  turnfleet_relay_responses_total: ({ counters }) =>
    Object.entries(counters.responses).flatMap(([method, codes]) =>
      Object.entries(codes)
        .filter(([, count]) => count > 0)
        .map(([code, count]): Sample => [count, { method, code }]),
    ),
  turnfleet_relay_refusals_total: ({ counters }) => byKey(counters.refusals, 'reason'),
  turnfleet_relay_refused_peers_total: ({ counters }) => byKey(counters.peerRules, 'rule'),
  turnfleet_relay_drops_total: ({ counters }) => byKey(counters.drops, 'reason'),
  turnfleet_relay_revocations: ({ revocations }) => [[revocations.entries.length]],
  turnfleet_relay_streams: ({ io }) => [[io.streamsOpen]],
  turnfleet_relay_dtls_sessions: ({ io }) => [[io.dtlsSessionsOpen]],
  turnfleet_relay_streams_refused_total: ({ io }) => byKey(io.streamsRefused, 'reason'),
  turnfleet_relay_stream_framing_errors_total: ({ io }) => [[io.framingErrors]],
  turnfleet_relay_tls_handshake_failures_total: ({ io }) => [[io.tlsHandshakeFailures]],
  turnfleet_relay_proxy_headers_refused_total: ({ io }) => [[io.proxyHeadersRefused]],
  turnfleet_relay_client_queue_drops_total: ({ io }) => [[io.clientQueueDrops]],
  turnfleet_relay_icmp_errors_dropped_total: ({ io }) => [[io.peerErrorsDropped]],
  turnfleet_relay_send_errors_total: ({ io }) => [[io.sendErrors]],
  turnfleet_relay_loop_turn_seconds: ({ loopTimes }) => loopTurns(loopTimes),
  turnfleet_relay_faults_total: ({ faults }) => [[faults]],
  turnfleet_relay_listeners: ({ listeners }) =>
    ['udp', 'tcp', 'tls', 'dtls'].map((protocol) => [
      listeners.filter((listener) => listener.protocol === protocol).length,
      { protocol },
    ]),
  turnfleet_relay_public_addresses: ({ addresses }) => [[addresses.length]],
  turnfleet_relay_tls_certificate_expiry_timestamp_seconds: ({ certificate }) =>
    certificate ? [[certificate.notAfterMs / 1000]] : [],
  turnfleet_relay_config_generation: ({ configGeneration }) => [[configGeneration]],
  turnfleet_relay_config_errors_total: ({ configErrors }) => [[configErrors]],
  turnfleet_relay_config_problems: ({ problems }) =>
    [...new Set(problems.map(({ reason }) => reason))].map((reason) => [1, { reason }]),
  turnfleet_relay_reports_total: ({ reportsSent, reportsFailed }) => [
    [reportsSent, { result: 'ok' }],
    [reportsFailed, { result: 'failed' }],
  ],
}

/** Each bucket of a Prometheus histogram counts those below it too. */
function loopTurns({ buckets, sumMs }: RelayStatus['loopTimes']): Sample[] {
  let count = 0
  const cumulative = buckets.map((own, bucket): Sample => {
    count += own
    const bound = LOOP_TIME_BOUNDS_MS[bucket]
    return [count, { le: bound === undefined ? '+Inf' : bound / 1000 }, '_bucket']
  })
  return [...cumulative, [sumMs / 1000, {}, '_sum'], [count, {}, '_count']]
}

function byKey(counts: Readonly<Record<string, number>>, label: string): Sample[] {
  return Object.entries(counts).map(([key, count]) => [count, { [label]: key }])
}
