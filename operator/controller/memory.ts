import { type AutoscalerMemory, emptyAutoscalerMemory } from '../autoscaler/memory.ts'
import type { ObservedCluster } from './contract.ts'

/**
 * What the loop remembers of a cluster between two runs: plain data, bounded by the number of its relays, and
 * never needed to be right. Where it is lost, what it would have allowed waits.
 */
export interface ClusterMemory {
  /** By relay uid: the public address that a check has passed through, and whether the newest one failed. */
  verified: Record<string, { address: string; failed: boolean }>
  autoscaler: AutoscalerMemory
  /** Since when the stored status differs from the newest one in load figures only. */
  loadDiffersSinceMs: number | null
}

/**
 * Memory of a cluster that this process sees for the first time. Relays that the stored status calls Ready, and
 * that are older than this process, count as verified until a new check says otherwise: a restart of the
 * operator takes no relay away from clients.
 */
export function initialMemory(observed: ObservedCluster, startedAtMs: number): ClusterMemory {
  const ready = (observed.cluster.status.relays ?? []).filter(({ state }) => state === 'Ready')
  const addressOf = new Map(ready.map(({ name, address }) => [name, address]))
  const verified: ClusterMemory['verified'] = {}
  for (const relay of observed.relays) {
    const address = relay.addresses[0]?.advertise
    if (address === undefined || relay.createdAtMs >= startedAtMs) continue
    if (addressOf.get(relay.name) === address) verified[relay.uid] = { address, failed: false }
  }
  return { verified, autoscaler: emptyAutoscalerMemory(startedAtMs), loadDiffersSinceMs: null }
}

/** The memory with the results of the newest checks, and without relays that are gone. */
export function rememberChecks(observed: ObservedCluster, memory: ClusterMemory): ClusterMemory {
  const verified: ClusterMemory['verified'] = {}
  for (const { uid } of observed.relays) {
    const before = memory.verified[uid]
    const check = observed.checks.get(uid)
    if (check?.state === 'passed') verified[uid] = { address: check.address, failed: false }
    else if (before)
      verified[uid] =
        check?.state === 'failed' && check.address === before.address ? { ...before, failed: true } : before
  }
  return { ...memory, verified }
}
