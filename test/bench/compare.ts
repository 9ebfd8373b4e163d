import { writeFileSync } from 'node:fs'
import { type BenchNetwork, benchNetwork } from './network.ts'
import { requirePrograms } from './programs.ts'

interface CompareOptions extends NonNullable<Parameters<typeof benchNetwork>[0]> {
  /** The file that what was measured goes to; absent: none. */
  readonly json?: string | undefined
}

/** Compares servers in a network of their own, which goes when `measured` has come back with what there is to report. */
export async function compareServers(
  { json, ...options }: CompareOptions,
  measured: (network: BenchNetwork) => Promise<object>,
): Promise<void> {
  requirePrograms('turnserver', 'taskset', 'ip')
  const network = benchNetwork(options)
  try {
    const report = { description: network.description, ...(await measured(network)) }
    if (json) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`)
  } finally {
    network.remove()
  }
}
