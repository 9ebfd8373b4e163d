import { unwatchFile, watchFile } from 'node:fs'
import type { TurnCluster } from '../api/turn-cluster.ts'
import type { ClusterKey } from '../controller/contract.ts'
import { readClusterFile } from './cluster-files.ts'

const LOOK_EVERY_MS = 500

export interface ClusterWatchOptions {
  files: readonly string[]
  /** Answers with a sentence where this change cannot be made. */
  onSet: (cluster: TurnCluster) => string | undefined
  onRemove: (key: ClusterKey) => void
  onProblem: (message: string) => void
}

/** Follows TurnCluster files: a file with a mistake changes nothing, and says which. */
export class ClusterWatch {
  readonly #options: ClusterWatchOptions
  /** By file: the clusters that it holds, as text. */
  readonly #known = new Map<string, Map<ClusterKey, string>>()

  constructor(options: ClusterWatchOptions) {
    this.#options = options
  }

  /** Reads every file once; throws the first problem, since nothing runs yet that it could spare. */
  async start(): Promise<void> {
    for (const file of this.#options.files) {
      const problems = await this.#read(file)
      if (problems.length > 0) throw new Error(problems.join('\n'))
    }
    for (const file of this.#options.files) {
      watchFile(file, { interval: LOOK_EVERY_MS, persistent: false }, () => void this.#follow(file))
    }
  }

  stop(): void {
    for (const file of this.#options.files) unwatchFile(file)
  }

  async #follow(file: string): Promise<void> {
    const problems = await this.#read(file)
    for (const problem of problems) this.#options.onProblem(`${problem} (the fleet stays as it was)`)
  }

  async #read(file: string): Promise<string[]> {
    const { clusters, problems } = await readClusterFile(file)
    if (problems.length > 0) return problems
    const now = new Map(clusters.map((cluster) => [keyOf(cluster), JSON.stringify(cluster)]))
    const elsewhere = [...this.#known].find(
      ([other, keys]) => other !== file && [...now.keys()].some((key) => keys.has(key)),
    )
    if (elsewhere) return [`${file}: ${elsewhere[0]} already holds a TurnCluster of that name`]
    const before = this.#known.get(file) ?? new Map<ClusterKey, string>()
    this.#known.set(file, now)
    for (const key of before.keys()) if (!now.has(key)) this.#options.onRemove(key)
    return clusters
      .filter((cluster) => before.get(keyOf(cluster)) !== now.get(keyOf(cluster)))
      .map((cluster) => this.#options.onSet(cluster))
      .filter((refusal) => refusal !== undefined)
      .map((refusal) => `${file}: ${refusal}`)
  }
}

function keyOf({ metadata }: TurnCluster): ClusterKey {
  return `${metadata.namespace}/${metadata.name}`
}
