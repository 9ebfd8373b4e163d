import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { VirtualClock } from '../../test/cluster/virtual-clock.ts'
import type { KubeRequest } from './client.ts'
import { EventRecorder } from './events.ts'

const cluster = {
  apiVersion: 'turnfleet.dev/v1alpha1',
  kind: 'TurnCluster',
  metadata: { name: 'public', namespace: 'turn', uid: 'u1' },
}
let clock: VirtualClock
let written: object[]
let recorder: EventRecorder

beforeEach(() => {
  clock = new VirtualClock()
  written = []
  const client = {
    request: async <T>({ body }: KubeRequest) => {
      written.push(body as object)
      return {} as T
    },
  }
  recorder = new EventRecorder(client, { instance: 'operator-0', clock, wallMs: () => clock.nowMs() })
})

function record(note: string): void {
  recorder.record(cluster, { type: 'Normal', reason: 'Scaled', note, action: 'CreateRelay' })
}

test('an Event says what was done to which object, in the form of events.k8s.io/v1', async () => {
  record('one more relay')
  await recorder.flush()
  assert.partialDeepStrictEqual(written[0], {
    apiVersion: 'events.k8s.io/v1',
    note: 'one more relay',
    eventTime: '1970-01-01T00:00:00.000000Z',
    regarding: { kind: 'TurnCluster', name: 'public', namespace: 'turn' },
  })
})

test('the same thing is said once in ten minutes', async () => {
  for (let i = 0; i < 50; i++) record('one more relay')
  await clock.advance(590_000)
  record('one more relay')
  assert.equal(written.length, 1)
  await clock.advance(20_000)
  record('one more relay')
  assert.equal(written.length, 2)
})

test('an object that is in trouble writes few Events, however its words change', async () => {
  for (let i = 0; i < 1000; i++) record(`${i} relays`)
  assert.equal(written.length, 30)
  await clock.advance(120_000)
  for (let i = 0; i < 1000; i++) record(`${i} relays more`)
  assert.equal(written.length, 32)
})

test('a refused Event is only told', async () => {
  const errors: string[] = []
  const client = {
    request: async () => {
      throw new Error('forbidden')
    },
  }
  const failing = new EventRecorder(client, {
    instance: 'operator-0',
    clock,
    wallMs: () => 0,
    onError: (error) => errors.push(error.message),
  })
  failing.record(cluster, { type: 'Normal', reason: 'Scaled', note: 'x', action: 'CreateRelay' })
  await failing.flush()
  assert.deepEqual(errors, ['forbidden'])
})
