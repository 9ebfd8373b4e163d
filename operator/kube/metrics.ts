import { Counter, Gauge, type Registry } from 'prom-client'
import type { WorkQueueState } from '../queue/work-queue.ts'
import type { Verb } from './client.ts'
import type { ReflectorCounts } from './reflector.ts'

const PREFIX = 'turnfleet_operator_'

export interface KubeMetricsSources {
  /** By kind. */
  reflectors: () => Record<string, ReflectorCounts>
  queue: () => WorkQueueState
  leads: () => boolean
  /** What the status of each TurnCluster says of its size. */
  scaling: () => Iterable<{ cluster: string; desired: number; binding: string }>
}

/** What Prometheus is told of the operator's work with Kubernetes. */
export class KubeMetrics {
  readonly #requests: Counter
  readonly #actions: Counter
  readonly #failures: Counter

  constructor(registry: Registry, sources: KubeMetricsSources) {
    const registers = [registry]
    this.#requests = new Counter({
      name: `${PREFIX}api_requests_total`,
      help: 'Requests to the API server, by verb and status; status 0 is no answer.',
      labelNames: ['verb', 'status'],
      registers,
    })
    this.#actions = new Counter({
      name: `${PREFIX}actions_total`,
      help: 'Steps performed, by kind and reason.',
      labelNames: ['kind', 'reason'],
      registers,
    })
    this.#failures = new Counter({
      name: `${PREFIX}reconcile_failures_total`,
      help: 'Runs of the loop that failed and will be repeated.',
      registers,
    })
    new Gauge({
      name: `${PREFIX}desired_relays`,
      help: 'Relays that are wanted, by TurnCluster and by what decided it.',
      labelNames: ['cluster', 'binding'],
      registers,
      collect() {
        this.reset()
        for (const { cluster, desired, binding } of sources.scaling()) this.set({ cluster, binding }, desired)
      },
    })
    reflectorGauges(registers, sources.reflectors)
    queueGauges(registers, sources.queue)
    new Gauge({
      name: `${PREFIX}leader`,
      help: '1 where this process does the work.',
      registers,
      collect() {
        this.set(sources.leads() ? 1 : 0)
      },
    })
  }

  answered(verb: Verb, status: number): void {
    this.#requests.inc({ verb, status })
  }

  acted(kind: string, reason: string): void {
    this.#actions.inc({ kind, reason })
  }

  failed(): void {
    this.#failures.inc()
  }
}

const REFLECTOR_HELP: Record<keyof ReflectorCounts, string> = {
  lists: 'Complete lists of a kind.',
  watches: 'Watches begun.',
  events: 'Changes that watches brought.',
  missed: 'Changes that only a list brought although a watch should have.',
  errors: 'Lists and watches that failed.',
}

function reflectorGauges(registers: Registry[], reflectors: KubeMetricsSources['reflectors']): void {
  for (const name of Object.keys(REFLECTOR_HELP) as (keyof ReflectorCounts)[])
    new Counter({
      name: `${PREFIX}reflector_${name}_total`,
      help: REFLECTOR_HELP[name],
      labelNames: ['kind'],
      registers,
      collect() {
        this.reset()
        for (const [kind, counts] of Object.entries(reflectors())) this.inc({ kind }, counts[name])
      },
    })
}

const QUEUE_FIGURES: { name: string; help: string; read: (state: WorkQueueState) => number }[] = [
  { name: 'queue_depth', help: 'TurnClusters that wait for a turn.', read: ({ depth }) => depth },
  {
    name: 'queue_processing',
    help: 'TurnClusters that are worked on.',
    read: ({ processing }) => processing,
  },
  { name: 'queue_oldest_seconds', help: 'Longest wait for a turn.', read: ({ oldestMs }) => oldestMs / 1000 },
  {
    name: 'queue_longest_turn_seconds',
    help: 'Longest turn under way.',
    read: ({ longestTurnMs }) => longestTurnMs / 1000,
  },
]

function queueGauges(registers: Registry[], queue: KubeMetricsSources['queue']): void {
  for (const { name, help, read } of QUEUE_FIGURES)
    new Gauge({
      name: PREFIX + name,
      help,
      registers,
      collect() {
        this.set(read(queue()))
      },
    })
  new Counter({
    name: `${PREFIX}queue_turns_total`,
    help: 'Turns of the loop, by result.',
    labelNames: ['result'],
    registers,
    collect() {
      const { turnsTotal, retriesTotal } = queue()
      this.reset()
      this.inc({ result: 'done' }, turnsTotal - retriesTotal)
      this.inc({ result: 'failed' }, retriesTotal)
    },
  })
}
