import type { ConditionState } from '../api/conditions.ts'
import type { StatusInput } from './conditions.ts'
import { CERTIFICATE_WARNING_SECONDS, SLOW_START_SECONDS } from './limits.ts'
import type { AssessedRelay } from './relay-state.ts'
import type { ClusterView } from './view.ts'

type Cause = { reason: string; message: string } | undefined

/** Whether something needs a person's eye: the first cause that applies, the gravest first. */
export function degraded({ view, failure }: StatusInput): ConditionState {
  const cause =
    (failure === undefined ? undefined : { reason: 'ActionFailed', message: failure }) ??
    doubted(view) ??
    foreign(view) ??
    relayTrouble(view) ??
    refusedFiles(view) ??
    certificateEnds(view)
  if (cause) return { status: 'True', ...cause }
  return { status: 'False', reason: 'AsWanted', message: 'nothing needs attention' }
}

function doubted({ doubt }: ClusterView): Cause {
  if (doubt === 'AllSilent') {
    const message =
      'no relay reaches the operator: clients are still sent to those that their nodes call ready; look at the way ' +
      'from the relays to the operator'
    return { reason: doubt, message }
  }
  if (doubt !== 'AllChecksFailed') return undefined
  const message =
    'no check passes through any relay: clients are still sent to them; look at the way from the operator to the ' +
    'public addresses, and at the firewall before them'
  return { reason: doubt, message }
}

function foreign({ observed }: ClusterView): Cause {
  const [name] = observed.foreign
  if (name === undefined) return undefined
  return {
    reason: 'NameTaken',
    message: `${name} exists and is not ours; it is left alone: delete or rename it`,
  }
}

function relayTrouble({ relays, nowMs }: ClusterView): Cause {
  const troubled = relays.find((assessed) => !assessed.relay.terminating && isTroubled(assessed, nowMs))
  if (!troubled) return undefined
  const message = `${troubled.relay.name} is ${troubled.state} (${troubled.reason}): ${troubled.message}`
  return { reason: troubled.state === 'Lost' ? 'RelayLost' : 'RelayNotReady', message }
}

function isTroubled({ relay, state, reason }: AssessedRelay, nowMs: number): boolean {
  if (state === 'Lost' || reason === 'CheckFailed') return true
  if (relay.drain || state === 'Ready') return false
  if (relay.trouble && relay.trouble.reason !== 'Unschedulable') return true
  return nowMs - relay.createdAtMs > SLOW_START_SECONDS * 1000 && relay.trouble === undefined
}

function refusedFiles({ relays }: ClusterView): Cause {
  for (const { relay, report } of relays) {
    const [problem] = relay.drain ? [] : (report?.problems ?? [])
    if (problem) return { reason: problem.reason, message: `${relay.name}: ${problem.message}` }
  }
  return undefined
}

function certificateEnds({ observed: { tls, cluster }, nowMs }: ClusterView): Cause {
  if (tls?.state !== 'valid' || tls.value.notAfterMs - nowMs > CERTIFICATE_WARNING_SECONDS * 1000)
    return undefined
  const day = new Date(tls.value.notAfterMs).toISOString().slice(0, 10)
  return {
    reason: 'CertificateEnds',
    message: `the certificate in Secret ${cluster.spec.tls?.secretName} ends on ${day}: renew it`,
  }
}
