import { keyRingSecretName } from '../../specs/names.ts'
import type { Action, ObservedCluster } from '../contract.ts'
import type { PlanRule } from './roles.ts'

/** Makes the key ring where it is absent and the user has named none. */
export const keyRing: PlanRule = ({ view: { observed } }) => {
  if (!makesKeyRing(observed)) return []
  const message = `makes the key ring in Secret ${keyRingSecretName(observed.cluster)}`
  return [{ kind: 'create-key-ring', reason: 'KeyRingCreated', message }]
}

/** Writes the configuration of the relays when it differs from what the spec asks for. */
export const config: PlanRule = ({ view: { observed } }) => {
  if (observed.configHash === observed.desiredConfigHash) return []
  const message =
    observed.configHash === undefined
      ? 'writes the configuration of the relays'
      : 'updates the configuration of the relays'
  return [{ kind: 'write-config', reason: 'ConfigWritten', message }]
}

/** Why no relay can be started now; undefined where one can. Relays that run are not touched by it. */
export function cannotStart(observed: ObservedCluster, before: readonly Action[] = []): string | undefined {
  const { keyRing: ring, tls } = observed
  const made = before.some(({ kind }) => kind === 'create-key-ring')
  if (ring.state !== 'valid' && !made) {
    const secret = keyRingSecretName(observed.cluster)
    return ring.state === 'absent' ? `Secret ${secret} does not exist` : `Secret ${secret}: ${ring.message}`
  }
  if (!tls || tls.state === 'valid') return undefined
  const secret = observed.cluster.spec.tls?.secretName
  return tls.state === 'absent' ? `Secret ${secret} does not exist` : `Secret ${secret}: ${tls.message}`
}

/** Whether the operator makes the key ring itself: the user has named no Secret, and there is none yet. */
export function makesKeyRing({ keyRing: ring, cluster }: ObservedCluster): boolean {
  return ring.state === 'absent' && cluster.spec.credentials.secretName === undefined
}
