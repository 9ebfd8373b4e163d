import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AllocationEventJson } from '../../relay/api/allocation-events.ts'
import type { LoadReport } from '../../relay/api/load-report.ts'
import type { FleetEvent } from '../controller/contract.ts'
import { EventHub } from './event-hub.ts'

const KEY = 'turn/public'
const report = (startedAtMs = 1): LoadReport =>
  ({ cluster: KEY, uid: 'u0', name: 'public-0', startedAtMs }) as LoadReport
const event = (sequence: number): AllocationEventJson => ({
  kind: 'opened',
  atMs: 0,
  sequence,
  allocation: sequence,
  username: 'alice',
  keyId: 'k',
  realm: 'r',
  transport: 'udp',
  client: '198.51.100.1:1',
  relayed: [],
})

function reading(hub: EventHub, key = KEY) {
  const seen: string[] = []
  const stop = hub.read(key, (one: FleetEvent) =>
    seen.push(one.kind === 'gap' ? `gap ${one.dropped}` : `${one.relay} ${one.sequence}`),
  )
  return { seen, stop }
}

test('each event is passed on once, though a batch may come twice, and anew after a restart of the relay', () => {
  const hub = new EventHub()
  const { seen } = reading(hub)
  hub.take(report(), { dropped: 0, events: [event(1), event(2)] })
  hub.take(report(), { dropped: 0, events: [event(2), event(3)] })
  hub.take(report(2), { dropped: 0, events: [event(1)] })
  assert.deepEqual(seen, ['public-0 1', 'public-0 2', 'public-0 3', 'public-0 1'])
})

test('what a relay has lost since is told as a gap, what it lost before anybody read is not', () => {
  const hub = new EventHub()
  const { seen } = reading(hub)
  hub.take(report(), { dropped: 5, events: [event(1)] })
  hub.take(report(), { dropped: 8, events: [event(9)] })
  assert.deepEqual(seen, ['public-0 1', 'gap 3', 'public-0 9'])
})

test('nothing is wanted or kept once the last reader of a cluster has gone', () => {
  const hub = new EventHub()
  const [one, other] = [reading(hub), reading(hub)]
  const elsewhere = reading(hub, 'turn/other')
  one.stop()
  hub.take(report(), { dropped: 0, events: [event(1)] })
  assert.deepEqual([one.seen, other.seen, elsewhere.seen], [[], ['public-0 1'], []])
  assert.ok(hub.wanted(KEY))
  other.stop()
  assert.ok(!hub.wanted(KEY))
  hub.take(report(), { dropped: 0, events: [event(2)] })
  assert.equal(other.seen.length, 1)
})
