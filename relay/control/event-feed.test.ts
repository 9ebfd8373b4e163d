import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AllocationEventJson, EVENTS_PER_REPORT_MAX } from '../api/allocation-events.ts'
import { loadReport } from '../api/load-report.ts'
import { TransportAddress } from '../stun/address.ts'
import { EventFeed } from './event-feed.ts'

const ALLOCATION = {
  allocation: 7,
  link: 1,
  username: 'alice',
  keyId: 'k1',
  realm: 'r',
  transport: 'udp',
  client: new TransportAddress().set4(0xc6336401, 4000),
  relayTransport: 'udp',
  relayed: [new TransportAddress().set4(0xcb007101, 50_000)],
} as const
const TRAFFIC = { durationMs: 1234.5, clientBytes: 10, clientPackets: 1, peerBytes: 20, peerPackets: 2 }
const OPENED = { kind: 'allocation-opened', at: 5, allocation: ALLOCATION } as const

function feed() {
  const changes: boolean[] = []
  return {
    changes,
    events: new EventFeed(
      () => 1_000_000,
      (wanted) => changes.push(wanted),
    ),
  }
}

test('while nobody asks nothing is made of an event; who begins and who ends to ask is told once', () => {
  const { events, changes } = feed()
  events.write({
    ...OPENED,
    get allocation(): never {
      throw new Error('looked at')
    },
  })
  const seen: AllocationEventJson[] = []
  const stopOne = events.read((event) => seen.push(event))
  const stopOther = events.read(() => undefined)
  events.report(true)
  events.write(OPENED)
  stopOne()
  stopOther()
  assert.deepEqual(changes, [true])
  events.report(false)
  assert.deepEqual(changes, [true, false])
  assert.equal(seen.length, 1)
})

test('an event says who, from where to where, when, and at its end what was carried and why it ended', () => {
  const { events } = feed()
  const seen: AllocationEventJson[] = []
  events.read((event) => seen.push(event))
  events.write(OPENED)
  events.write({ ...OPENED, ...TRAFFIC, kind: 'allocation-refreshed', lifetimeSeconds: 600 })
  events.write({ ...OPENED, ...TRAFFIC, kind: 'allocation-closed', reason: 'revoked' })
  assert.deepEqual(seen[0], {
    kind: 'opened',
    atMs: 1_000_000,
    sequence: 1,
    allocation: 7,
    username: 'alice',
    keyId: 'k1',
    realm: 'r',
    transport: 'udp',
    client: '198.51.100.1:4000',
    relayed: ['203.0.113.1:50000'],
  })
  assert.deepEqual([seen[1]?.kind, seen[1]?.lifetimeSeconds], ['refreshed', 600])
  assert.deepEqual([seen[2]?.kind, seen[2]?.reason], ['closed', 'revoked'])
  assert.deepEqual(seen[2]?.traffic, { ...TRAFFIC, durationMs: 1235 })
})

test('a report carries a bounded batch, which stays until it is answered; what does not fit is counted', () => {
  const { events } = feed()
  assert.equal(events.batch(), undefined)
  events.report(true)
  for (let i = 0; i < 10 * EVENTS_PER_REPORT_MAX; i++) events.write(OPENED)
  const first = events.batch()!
  assert.equal(first.events.length, EVENTS_PER_REPORT_MAX)
  assert.ok(loadReport.shape.events.safeParse(first).success)
  assert.deepEqual(events.batch(), first, 'the answer was lost')
  events.confirm(first)
  const second = events.batch()!
  assert.equal(second.events[0]?.sequence, EVENTS_PER_REPORT_MAX + 1)
  let carried = 0
  for (let batch = first; batch.events.length > 0; batch = events.batch()!) {
    carried += batch === first ? batch.events.length : batch.events.length
    events.confirm(batch)
  }
  assert.ok(second.dropped > 0)
  assert.equal(carried + second.dropped, 10 * EVENTS_PER_REPORT_MAX)
})
