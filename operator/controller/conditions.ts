import { type ConditionState, conditionOf } from '../api/conditions.ts'
import type { ConditionType } from '../api/turn-cluster.ts'
import { counted } from '../api/words.ts'
import type { ScalingDecision } from '../autoscaler/decide.ts'
import { tlsHost } from '../credentials/ice-urls.ts'
import { keyRingSecretName } from '../specs/names.ts'
import { noAddressMessage, resolveAddresses } from './addresses.ts'
import type { TlsCertificate } from './contract.ts'
import { degraded } from './degraded.ts'
import { cannotStart, makesKeyRing } from './plan/prerequisites.ts'
import type { Roles } from './plan/roles.ts'
import type { ClusterView } from './view.ts'

/** What the status is made from. */
export interface StatusInput {
  view: ClusterView
  scaling: ScalingDecision
  roles: Roles
  /** What could not be done in this run, as a sentence. */
  failure: string | undefined
}

/** How each condition is derived. */
export const CONDITIONS: Readonly<Record<ConditionType, (input: StatusInput) => ConditionState>> = {
  Ready: ready,
  Progressing: progressing,
  Degraded: degraded,
  AddressesResolved: addressesResolved,
  TLSReady: tlsReady,
  CredentialsReady: credentialsReady,
  ScalingLimited: scalingLimited,
  NetworksKnown: networksKnown,
}

/** True once every relay wanted is Ready, and then while any one is: clients can be served. */
function ready({ view, scaling, roles }: StatusInput): ConditionState {
  const count = roles.ready.length
  const before = conditionOf(view.observed.cluster.status.conditions, 'Ready')?.status === 'True'
  if (count > 0 && (count >= scaling.desired || before)) {
    return yes('RelaysReady', `${count} of ${counted(scaling.desired, 'relay')} ready`)
  }
  if (scaling.desired === 0) return no('ScaledToZero', 'no relay is wanted: set replicas to 1 or more')
  const obstacle = cannotStart(view.observed)
  if (obstacle !== undefined && roles.counted.length === 0)
    return no('CannotStart', `no relay can be started: ${obstacle}`)
  const waiting = roles.counted.find(({ state }) => state !== 'Ready')
  const message = `${count} of ${counted(scaling.desired, 'relay')} ready`
  if (!waiting) return no('RelaysMissing', message)
  return no(waiting.reason, `${message}; ${waiting.relay.name} ${waiting.message}`)
}

function progressing({ view, scaling, roles }: StatusInput): ConditionState {
  const old = roles.counted.filter(({ current }) => !current).length
  if (old > 0) return yes('RollingOut', `${counted(old, 'relay')} of an older revision to be replaced`)
  const short = scaling.desired - roles.counted.filter(({ state }) => state === 'Ready').length
  if (short > 0) return yes('Starting', `waiting for ${counted(short, 'more relay')} to become ready`)
  const going = view.relays.filter(({ relay }) => relay.drain || relay.terminating).length
  if (going > 0) return yes('Draining', `${counted(going, 'relay')} on the way out`)
  const surplus = roles.counted.length - scaling.desired
  if (surplus > 0) return yes('ScalingDown', `${counted(surplus, 'relay')} more than wanted, to be drained`)
  return no('Settled', `${counted(scaling.desired, 'relay')} wanted and ready`)
}

function addressesResolved({ view: { observed, relays } }: StatusInput): ConditionState {
  const { network } = observed.cluster.spec
  const placed = relays.filter(({ relay, node }) => node !== undefined && !relay.terminating)
  const without = placed.find(({ node }) => node && resolveAddresses(node, network).length === 0)
  if (without?.node) return no('NoPublicAddress', noAddressMessage(without.node, network))
  if (placed.length === 0)
    return { status: 'Unknown', reason: 'NoRelays', message: 'no relay has a node yet' }
  return yes('Resolved', 'every relay has a public address')
}

function tlsReady({ view: { observed, relays, nowMs } }: StatusInput): ConditionState {
  const { tls, cluster } = observed
  const name = cluster.spec.tls?.secretName
  if (!tls) return yes('NotWanted', 'spec.tls is not set, and no listener speaks TLS')
  if (tls.state === 'absent') {
    return no(
      'SecretNotFound',
      `Secret ${name} does not exist: create it with tls.crt and tls.key; relays that run keep their certificate`,
    )
  }
  if (tls.state === 'malformed') {
    return no(
      'SecretMalformed',
      `Secret ${name}: ${tls.message}; relays that run keep their last good certificate`,
    )
  }
  if (tls.value.notAfterMs <= nowMs)
    return no('Expired', `the certificate in Secret ${name} has expired: renew it`)
  const hosts = relays.flatMap(({ relay }) =>
    relay.addresses.map((a) => tlsHost(a.advertise, cluster.spec.tls?.hostname)),
  )
  const unnamed = hosts.find((host) => !covers(tls.value, host))
  if (unnamed !== undefined) {
    return no(
      'NameNotCovered',
      `the certificate in Secret ${name} does not name ${unnamed}, so that browsers refuse turns: URLs`,
    )
  }
  return yes('CertificateValid', `the certificate in Secret ${name} is valid`)
}

/** Whether a certificate names a host, literally or by a wildcard of one label. */
function covers({ names }: TlsCertificate, host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  const wildcard = bare.replace(/^[^.]+/, '*')
  return names.some(
    (name) => name.toLowerCase() === bare || (!/^[\d.]+$|:/.test(bare) && name.toLowerCase() === wildcard),
  )
}

function credentialsReady({ view: { observed } }: StatusInput): ConditionState {
  const { keyRing, cluster } = observed
  const name = keyRingSecretName(cluster)
  if (keyRing.state === 'valid') {
    return yes(
      'KeyRingValid',
      `credentials are signed with key ${keyRing.value.keys[0]?.id} of Secret ${name}`,
    )
  }
  if (keyRing.state === 'malformed') {
    return no(
      'SecretMalformed',
      `Secret ${name}: ${keyRing.message}; relays that run keep their last good keys`,
    )
  }
  if (makesKeyRing(observed)) return no('Creating', `Secret ${name} is being made`)
  return no(
    'SecretNotFound',
    `Secret ${name} does not exist: create it with keys.yaml, or remove credentials.secretName`,
  )
}

function scalingLimited({ view: { observed }, scaling, roles }: StatusInput): ConditionState {
  if (scaling.limited) return yes(scaling.limited, scaling.message)
  const obstacle = cannotStart(observed)
  if (obstacle !== undefined && roles.counted.length < scaling.desired) {
    return yes('CannotStart', `relays cannot be started: ${obstacle}`)
  }
  const unplaced = roles.counted.filter(({ reason, current }) => reason === 'Unschedulable' && current)
  const [first] = unplaced
  if (first && roles.ready.length < scaling.desired) {
    return yes(
      'Unschedulable',
      `no node for ${counted(unplaced.length, 'relay')} (each needs one of its own): ${first.message}`,
    )
  }
  return no('Unlimited', 'nothing keeps the fleet from its wanted size')
}

/** Whether relays can tell their clients' peers from the cluster's own pods, Services and nodes. */
function networksKnown({ view: { observed } }: StatusInput): ConditionState {
  const { networks } = observed
  if (!networks) return yes('NoCluster', 'relays run on this machine, in no cluster')
  if (networks.missing !== undefined) {
    const advice = 'name the networks of pods, Services and nodes in peers.deny where peers.allow is wide'
    return no('NodesNotReadable', `${networks.missing}, so that relays do not know them: ${advice}`)
  }
  const blocks = counted(networks.internal.length, 'block')
  const addresses = networks.nodes.length === 1 ? '1 address' : `${networks.nodes.length} addresses`
  return yes('Known', `${blocks} of pods and Services and ${addresses} of nodes are refused as peers`)
}

function yes(reason: string, message: string): ConditionState {
  return { status: 'True', reason, message }
}

function no(reason: string, message: string): ConditionState {
  return { status: 'False', reason, message }
}
