import assert from 'node:assert/strict'
import { test } from 'node:test'
import { statusSchema } from '../api/crd.ts'
import { turnClusterStatus } from '../api/status.ts'
import type { ConditionType, TurnClusterStatus } from '../api/turn-cluster.ts'
import type { ObservedCluster } from './contract.ts'
import { plan } from './plan/plan.ts'
import { rolesOf } from './plan/roles.ts'
import { publication } from './publish.ts'
import { statusOf, statusWrite } from './status.ts'
import {
  CONTEXT,
  check,
  load,
  NOW,
  node,
  OLD_REVISION,
  observedCluster,
  relay,
  type WorldOf,
} from './testing/fixtures.ts'

function statusFor(observed: ObservedCluster, failure?: string, nowMs = NOW): TurnClusterStatus {
  const { view, scaling, actions } = plan(observed, { ...CONTEXT, nowMs })
  return statusOf({ view, scaling, roles: rolesOf(view), failure }, publication(view, actions, undefined))
}

const TLS = { secretName: 'turn-tls' }
const DAY = 24 * 3600 * 1000
const certificate = (changes = {}) => ({
  tls: {
    state: 'valid' as const,
    value: { names: ['203.0.113.10'], notAfterMs: NOW + 30 * DAY, fingerprint: 'f', ...changes },
    contentHash: 'h',
  },
})
const unscheduled = (ordinal: number) => {
  const trouble = { reason: 'Unschedulable', message: '0/2 nodes are available' }
  const { node: _none, ...rest } = relay(ordinal, { phase: 'Pending', ready: false, addresses: [], trouble })
  return rest
}

const CASES: Record<
  string,
  { world: WorldOf; failure?: string; type: ConditionType; is: string; says?: RegExp }
> = {
  'every relay wanted is ready': {
    world: { spec: { replicas: 1 }, relays: [relay(0)] },
    type: 'Ready',
    is: 'True/RelaysReady',
    says: /1 of 1/,
  },
  'a relay is missing at first': {
    world: { spec: { replicas: 2 }, relays: [relay(0), relay(1, { ready: false })] },
    type: 'Ready',
    is: 'False/NotReady',
    says: /1 of 2 relays ready; public-1-0000cafe its readiness probe/,
  },
  'an image cannot be pulled': {
    world: {
      spec: { replicas: 1 },
      relays: [
        relay(0, {
          phase: 'Pending',
          ready: false,
          trouble: { reason: 'ErrImagePull', message: 'no such tag' },
        }),
      ],
    },
    type: 'Ready',
    is: 'False/ErrImagePull',
    says: /no such tag/,
  },
  'nothing is wanted': { world: { spec: { replicas: 0 } }, type: 'Ready', is: 'False/ScaledToZero' },
  'the key ring is the user’s, and is not there': {
    world: { spec: { credentials: { secretName: 'mine' } }, changes: { keyRing: { state: 'absent' } } },
    type: 'Ready',
    is: 'False/CannotStart',
    says: /Secret mine does not exist/,
  },
  'the missing key ring, said where it belongs': {
    world: { spec: { credentials: { secretName: 'mine' } }, changes: { keyRing: { state: 'absent' } } },
    type: 'CredentialsReady',
    is: 'False/SecretNotFound',
    says: /create it with keys\.yaml, or remove credentials\.secretName/,
  },
  'a malformed key ring': {
    world: { changes: { keyRing: { state: 'malformed', message: 'keys.yaml: keys: bad' } } },
    type: 'CredentialsReady',
    is: 'False/SecretMalformed',
    says: /keep their last good keys/,
  },
  'a key ring in force, named by the id of its key': {
    world: {},
    type: 'CredentialsReady',
    is: 'True/KeyRingValid',
    says: /key k1 of Secret public-turn-keys/,
  },
  'a node without a public address': {
    world: {
      spec: { replicas: 1 },
      relays: [relay(0, { addresses: [] })],
      nodes: [node('node0', { externalAddresses: [] })],
    },
    type: 'AddressesResolved',
    is: 'False/NoPublicAddress',
    says: /node node0 has no .*annotate it with turnfleet\.dev\/public-address/,
  },
  'an annotation that is no address': {
    world: {
      spec: { replicas: 1 },
      relays: [relay(0, { addresses: [] })],
      nodes: [node('node0', { externalAddresses: [], annotatedAddresses: ['turn.example.org'] })],
    },
    type: 'AddressesResolved',
    is: 'False/NoPublicAddress',
    says: /"turn\.example\.org" in turnfleet\.dev\/public-address is no IP address/,
  },
  'addresses are there': { world: { relays: [relay(0)] }, type: 'AddressesResolved', is: 'True/Resolved' },
  'no relay has a node yet': { world: {}, type: 'AddressesResolved', is: 'Unknown/NoRelays' },
  'no TLS is wanted': { world: {}, type: 'TLSReady', is: 'True/NotWanted' },
  'the certificate is missing': {
    world: { spec: { tls: TLS }, changes: { tls: { state: 'absent' } } },
    type: 'TLSReady',
    is: 'False/SecretNotFound',
    says: /turn-tls does not exist: create it with tls\.crt and tls\.key/,
  },
  'the certificate does not match its key': {
    world: {
      spec: { tls: TLS },
      changes: { tls: { state: 'malformed', message: 'tls.key is not the key of tls.crt' } },
    },
    type: 'TLSReady',
    is: 'False/SecretMalformed',
    says: /tls\.key is not the key of tls\.crt; relays that run keep/,
  },
  'the certificate has expired': {
    world: { spec: { tls: TLS }, changes: certificate({ notAfterMs: NOW - 1 }) },
    type: 'TLSReady',
    is: 'False/Expired',
  },
  'the certificate names another host': {
    world: {
      spec: { replicas: 1, tls: TLS },
      relays: [relay(0)],
      changes: certificate({ names: ['turn.example.org'] }),
    },
    type: 'TLSReady',
    is: 'False/NameNotCovered',
    says: /does not name 203\.0\.113\.10/,
  },
  'a wildcard certificate covers the names of the relays': {
    world: {
      spec: { replicas: 1, tls: { ...TLS, hostname: '{address}.turn.example.org' } },
      relays: [relay(0)],
      changes: certificate({ names: ['*.turn.example.org'] }),
    },
    type: 'TLSReady',
    is: 'True/CertificateValid',
  },
  'a wildcard does not cover addresses': {
    world: {
      spec: { replicas: 1, tls: TLS },
      relays: [relay(0)],
      changes: certificate({ names: ['*.0.113.10'] }),
    },
    type: 'TLSReady',
    is: 'False/NameNotCovered',
  },
  'the certificate ends soon': {
    world: { spec: { tls: TLS }, changes: certificate({ notAfterMs: NOW + DAY }) },
    type: 'Degraded',
    is: 'True/CertificateEnds',
    says: /ends on 2026-01-02: renew it/,
  },
  'a relay has no node': {
    world: { spec: { replicas: 2 }, relays: [relay(0), unscheduled(1)] },
    type: 'ScalingLimited',
    is: 'True/Unschedulable',
    says: /0\/2 nodes are available/,
  },
  'nothing is in the way': {
    world: { relays: [relay(0), relay(1)] },
    type: 'ScalingLimited',
    is: 'False/Unlimited',
  },
  'the load asks for more than is allowed': {
    world: {
      spec: {
        limits: { allocationsPerRelay: 10 },
        autoscaling: { enabled: true, minReplicas: 1, maxReplicas: 1, buffer: { allocations: 20 } },
      },
      relays: [relay(0)],
    },
    type: 'ScalingLimited',
    is: 'True/MaxReplicas',
  },
  'a rollout': {
    world: { spec: { replicas: 1 }, relays: [relay(0, { revision: OLD_REVISION })] },
    type: 'Progressing',
    is: 'True/RollingOut',
  },
  'relays on their way': {
    world: { spec: { replicas: 3 }, relays: [relay(0)] },
    type: 'Progressing',
    is: 'True/Starting',
  },
  'a relay on its way out': {
    world: {
      spec: { replicas: 1 },
      relays: [relay(0), relay(1, { drain: { sinceMs: NOW, reason: 'ScaleDown' } })],
    },
    type: 'Progressing',
    is: 'True/Draining',
  },
  'a fleet at rest': { world: { relays: [relay(0), relay(1)] }, type: 'Progressing', is: 'False/Settled' },
  'all is well': { world: { relays: [relay(0), relay(1)] }, type: 'Degraded', is: 'False/AsWanted' },
  'an action failed': {
    world: {},
    failure: 'creates public-0: exceeded quota',
    type: 'Degraded',
    is: 'True/ActionFailed',
    says: /exceeded quota/,
  },
  'a name is taken': {
    world: { changes: { foreign: ['public-relay'] } },
    type: 'Degraded',
    is: 'True/NameTaken',
    says: /public-relay exists and is not ours/,
  },
  'a relay was lost': {
    world: { relays: [relay(0), relay(1, { phase: 'Ended', ready: false })] },
    type: 'Degraded',
    is: 'True/RelayLost',
  },
  'no traffic passes through a new relay': {
    world: {
      relays: [relay(0), relay(1)],
      checks: new Map([['uid-1', check(relay(1), { state: 'failed', message: 'no echo' })]]),
    },
    type: 'Degraded',
    is: 'True/RelayNotReady',
    says: /no traffic passes through 203\.0\.113\.11: no echo/,
  },
  'a relay has refused its configuration': {
    world: {
      relays: [relay(0)],
      loads: new Map([
        ['uid-0', load(relay(0), { problems: [{ reason: 'ConfigRefused', message: 'realm: too long' }] })],
      ]),
    },
    type: 'Degraded',
    is: 'True/ConfigRefused',
    says: /public-0-0000cafe: realm: too long/,
  },
}

for (const [name, { world, failure, type, is, says }] of Object.entries(CASES)) {
  test(`${type} where ${name}: ${is}`, () => {
    const condition = statusFor(observedCluster(world), failure).conditions?.find(
      (each) => each.type === type,
    )
    assert.equal(`${condition?.status}/${condition?.reason}`, is)
    if (says) assert.match(condition?.message ?? '', says)
  })
}

test('once Ready, a cluster stays so while clients can be served', () => {
  const observed = observedCluster({ spec: { replicas: 2 }, relays: [relay(0), relay(1)] })
  observed.cluster.status = statusFor(observed)
  const fewer = {
    ...observedCluster({ spec: { replicas: 2 }, relays: [relay(0)] }),
    cluster: observed.cluster,
  }
  const readyOf = (status: TurnClusterStatus) =>
    status.conditions?.find(({ type }) => type === 'Ready')?.status
  assert.equal(readyOf(statusFor(fewer)), 'True')
  const none = { ...observedCluster({ spec: { replicas: 2 } }), cluster: observed.cluster }
  assert.equal(readyOf(statusFor(none)), 'False')
})

test('counts, load and URIs', () => {
  const draining = relay(2, { drain: { sinceMs: NOW - 5000, reason: 'ScaleDown' } })
  const loads = new Map([
    ['uid-0', load(relay(0), { allocations: 1000 })],
    ['uid-1', load(relay(1), { allocations: 3000 })],
    ['uid-2', load(draining, { allocations: 5, drainAcknowledged: true, state: 'draining' })],
  ])
  const status = statusFor(observedCluster({ relays: [relay(0), relay(1), draining], loads }))
  assert.equal(status.observedGeneration, 3)
  assert.equal(status.replicas, 3)
  assert.equal(status.readyReplicas, 2)
  assert.equal(status.drainingReplicas, 1)
  assert.deepEqual(status.allocations, { active: 4000, draining: 5, capacity: 8000 })
  assert.equal(status.utilizationPercent, 50)
  assert.equal(status.selector, 'turnfleet.dev/cluster=public,app.kubernetes.io/component=relay')
  assert.deepEqual(status.uris, [
    'turn:203.0.113.10:3478?transport=udp',
    'turn:203.0.113.11:3478?transport=udp',
  ])
  assert.deepEqual(status.relays?.[2], {
    name: 'public-2-0000cafe',
    node: 'node2',
    address: '203.0.113.12',
    state: 'Draining',
    reason: 'ScaleDown',
    allocations: 5,
  })
})

test('of a large fleet a hundred relays are listed and the rest is counted', () => {
  const relays = Array.from({ length: 130 }, (_, i) => relay(i, { node: 'node0' }))
  const status = statusFor(observedCluster({ spec: { replicas: 130 }, relays }))
  assert.equal(status.relays?.length, 100)
  assert.equal(status.relaysOmitted, 30)
  assert.deepEqual(
    status.relays.slice(0, 3).map(({ name }) => name.split('-')[1]),
    ['0', '1', '2'],
  )
})

test('the same world gives the same status, however much later', () => {
  const observed = observedCluster({ relays: [relay(0), relay(1)] })
  const first = statusFor(observed)
  observed.cluster.status = first
  const later = NOW + 600_000
  observed.loads = new Map(observed.relays.map((of) => [of.uid, { ...load(of), receivedAtMs: later }]))
  assert.deepEqual(statusFor(observed, undefined, later), first)
})

test('what moves with the load only is written now and then, everything else at once', () => {
  const status = (allocations: number, replicas = 2) => {
    const loads = new Map([['uid-0', load(relay(0), { allocations })]])
    return statusFor(observedCluster({ spec: { replicas }, relays: [relay(0), relay(1)], loads }))
  }
  const stored = status(1)
  const nothing = { write: false, loadDiffersSinceMs: null }
  assert.deepEqual(statusWrite(stored, status(1), NOW - 5000, NOW), nothing, 'it is as before again')
  assert.deepEqual(statusWrite(stored, status(2), null, NOW), { write: false, loadDiffersSinceMs: NOW })
  assert.deepEqual(statusWrite(stored, status(3), NOW - 9000, NOW), {
    write: false,
    loadDiffersSinceMs: NOW - 9000,
  })
  assert.equal(statusWrite(stored, status(3), NOW - 10_000, NOW).write, true)
  assert.equal(statusWrite(stored, status(2, 3), null, NOW).write, true, 'more than the load has changed')
  assert.equal(statusWrite({}, status(2), null, NOW).write, true, 'there was none')
})

test('the order in which the API server writes fields makes no difference', () => {
  const status = statusFor(observedCluster({ relays: [relay(0)] }))
  const reordered = Object.fromEntries(Object.entries(status).reverse()) as TurnClusterStatus
  assert.equal(statusWrite(reordered, status, null, NOW).write, false)
})

test('the schema of the status has room for everything that is written', () => {
  const status = statusFor(
    observedCluster({ spec: { tls: TLS }, relays: [relay(0)], changes: certificate() }),
  )
  assert.deepEqual(turnClusterStatus.parse(status), status)
  for (const field of Object.keys(status)) assert.ok(statusSchema().properties?.[field], field)
})
