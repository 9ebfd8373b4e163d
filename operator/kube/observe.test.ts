import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeObject, PodObject } from './objects.ts'
import { observedNode, observedRelay } from './observe.ts'

const REVISION = '0a1b2c3d'

function pod(change: Partial<PodObject> & { annotations?: Record<string, string> } = {}): PodObject {
  const { annotations = {}, ...rest } = change
  return {
    metadata: {
      name: `public-3-${REVISION}`,
      namespace: 'turn',
      uid: 'u1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      annotations,
    },
    ...rest,
  }
}

test('a running, ready pod is a relay with its node, addresses and drain', () => {
  const annotations = {
    'turnfleet.dev/addresses': '[{"bind":"10.0.0.1","advertise":"203.0.113.5"}]',
    'turnfleet.dev/drain': '{"sinceMs":5,"reason":"ScaleDown"}',
  }
  const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] }
  assert.deepEqual(observedRelay('public', pod({ annotations, spec: { nodeName: 'n1' }, status })), {
    name: `public-3-${REVISION}`,
    uid: 'u1',
    ordinal: 3,
    revision: REVISION,
    createdAtMs: Date.parse('2026-01-01T00:00:00Z'),
    node: 'n1',
    phase: 'Running',
    ready: true,
    terminating: false,
    addresses: [{ bind: '10.0.0.1', advertise: '203.0.113.5' }],
    drain: { sinceMs: 5, reason: 'ScaleDown' },
  })
})

test('annotations that a person has broken count as none', () => {
  for (const text of ['{', 'true', '[{"advertise":7}]', '{"sinceMs":"x"}', '- : -']) {
    const relay = observedRelay(
      'public',
      pod({ annotations: { 'turnfleet.dev/addresses': text, 'turnfleet.dev/drain': text } }),
    )
    assert.deepEqual(relay?.addresses, [], text)
    assert.equal(relay?.drain, undefined, text)
  }
})

test('a pod that is none of the cluster’s relays is none', () => {
  for (const name of ['public', 'public-x-0a1b2c3d', 'public-3', 'public-3-0a1b2c3d-x', 'other-3-0a1b2c3d'])
    assert.equal(observedRelay('public', { metadata: { name } }), undefined, name)
})

test('trouble is said in Kubernetes’ words', () => {
  const waiting = (reason: string) => ({
    phase: 'Pending',
    containerStatuses: [{ name: 'relay', ready: false, state: { waiting: { reason, message: 'why' } } }],
  })
  const of = (status: NonNullable<PodObject['status']>) => observedRelay('public', pod({ status }))?.trouble
  assert.deepEqual(of(waiting('ImagePullBackOff')), { reason: 'ImagePullBackOff', message: 'why' })
  assert.equal(of(waiting('ContainerCreating')), undefined)
  const unscheduled = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/2 nodes' }
  assert.deepEqual(of({ phase: 'Pending', conditions: [unscheduled] }), {
    reason: 'Unschedulable',
    message: '0/2 nodes',
  })
  assert.deepEqual(of({ phase: 'Failed', reason: 'Evicted', message: 'low on disk' }), {
    reason: 'Evicted',
    message: 'low on disk',
  })
  const exited = [{ name: 'relay', ready: false, state: { terminated: { exitCode: 2 } } }]
  assert.deepEqual(of({ phase: 'Running', containerStatuses: exited }), {
    reason: 'Error',
    message: 'the container exited with code 2',
  })
})

test('a node tells its addresses, zone and readiness', () => {
  const node: NodeObject = {
    metadata: {
      name: 'n1',
      labels: { 'topology.kubernetes.io/zone': 'a' },
      annotations: { 'turnfleet.dev/public-address': '203.0.113.5, 2001:db8::5' },
    },
    status: {
      addresses: [
        { type: 'InternalIP', address: '10.0.0.1' },
        { type: 'ExternalIP', address: '203.0.113.9' },
      ],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  }
  assert.deepEqual(observedNode(node), {
    name: 'n1',
    ready: true,
    zone: 'a',
    annotatedAddresses: ['203.0.113.5', '2001:db8::5'],
    externalAddresses: ['203.0.113.9'],
    internalAddresses: ['10.0.0.1'],
  })
})

test('a node that is going away says why, and other taints do not', () => {
  const leaving = (spec: NodeObject['spec']) => observedNode({ metadata: { name: 'n' }, spec: spec! }).leaving
  assert.equal(leaving({ unschedulable: true }), 'cordoned')
  assert.equal(
    leaving({ taints: [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }] }),
    'being removed by the cluster autoscaler',
  )
  assert.equal(leaving({ taints: [{ key: 'dedicated', value: 'turn', effect: 'NoSchedule' }] }), undefined)
})
