import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import {
  EPOCH_SECONDS,
  OTHER_USER,
  type RequestOptions,
  TurnHarness,
  USER,
} from '../../test/support/turn-harness.ts'
import { type Revocation, revocation } from '../api/revocations.ts'
import { Revocations } from './revocations.ts'

/** An entry that ends so many seconds after the machine's time 0. */
function entry(what: Partial<Revocation>, seconds = 600): Revocation {
  const until = new Date((EPOCH_SECONDS + seconds) * 1000).toISOString()
  return revocation.parse({ id: 'r1', until, ...what })
}

function restUser(name: string, secret: string): NonNullable<RequestOptions['user']> {
  const username = `${EPOCH_SECONDS + 7200}:${name}`
  return { username, password: createHmac('sha1', secret).update(username).digest('base64') }
}

test('a revoked user loses live allocations, with their events, and is answered 403 until the entry ends', () => {
  const harness = new TurnHarness()
  const client = harness.client()
  client.allocate()
  harness.client('198.51.100.8:1').allocate(undefined, { user: OTHER_USER })
  assert.equal(harness.server.setRevocations([entry({ user: USER.username })], harness.now), 1)
  harness.drain()
  assert.equal(harness.server.allocationCount, 1)
  const closed = harness.events.find((event) => event.kind === 'allocation-closed')
  assert.deepEqual([closed?.reason, closed?.allocation.username], ['revoked', USER.username])
  const answer = client.allocate()
  assert.deepEqual([answer?.code, answer?.authentic], [403, true])
  assert.equal(harness.server.counters.refusals.revoked, 1)
  harness.pass(600)
  assert.equal(client.allocate()?.code, 0)
})

test('a revocation that is taken back lets the user in again', () => {
  const harness = new TurnHarness()
  harness.server.setRevocations([entry({ user: USER.username })], harness.now)
  assert.equal(harness.client().allocate()?.code, 403)
  harness.server.setRevocations([], harness.now)
  assert.equal(harness.client().allocate()?.code, 0)
})

test('an allocation whose socket is still being bound goes too', () => {
  const harness = new TurnHarness()
  harness.onBind = () => 'pending'
  harness.client().allocate()
  assert.equal(harness.server.setRevocations([entry({ user: USER.username })], harness.now), 1)
  assert.equal(harness.server.allocationCount, 0)
})

test('TURN REST users are revoked by the name after the expiry, by the whole name, or by the key', () => {
  const keys = [
    { id: 'k1', secret: 'one' },
    { id: 'k2', secret: 'two' },
  ]
  const carol = restUser('carol', 'one')
  const cases: readonly [Partial<Revocation>, code: number][] = [
    [{ user: 'carol' }, 403],
    [{ user: carol.username }, 403],
    [{ user: 'dave' }, 0],
    [{ keyId: 'k1' }, 403],
    [{ keyId: 'k2' }, 0],
    [{ user: 'carol', keyId: 'k1' }, 403],
    [{ user: 'carol', keyId: 'k2' }, 0],
  ]
  for (const [what, code] of cases) {
    const harness = new TurnHarness({ credentials: { keys } })
    harness.server.setRevocations([entry(what)], harness.now)
    const answer = harness.client().allocate(undefined, { user: carol })
    assert.equal(answer?.code, code, JSON.stringify(what))
  }
})

test('a wrong password is refused as such: who is revoked is told to nobody else', () => {
  const harness = new TurnHarness()
  harness.server.setRevocations([entry({ user: USER.username })], harness.now)
  const user = { ...USER, password: 'guessed' }
  assert.equal(harness.client().allocate(undefined, { user })?.code, 401)
})

test('a tenant is revoked whole, or one user of it', () => {
  const list = new Revocations([
    entry({ id: 'a', tenant: 'acme' }),
    entry({ id: 'b', tenant: 'globex', user: 'x' }),
  ])
  const includes = (user: string, tenant?: string) => list.includes({ user, tenant }, EPOCH_SECONDS)
  assert.deepEqual(
    [
      includes('anyone', 'acme'),
      includes('x', 'globex'),
      includes('y', 'globex'),
      includes('x'),
      includes('x', 'a'),
    ],
    [true, true, false, false, false],
  )
})

test('an entry must name somebody and have an end', () => {
  const until = '2026-11-23T00:00:00Z'
  for (const bad of [{ until }, { user: 'x' }, { user: '', until }, { user: 'x', until: 'tomorrow' }]) {
    assert.equal(revocation.safeParse({ id: 'r', ...bad }).success, false, JSON.stringify(bad))
  }
  assert.equal(revocation.safeParse({ id: 'r', user: 'x', until }).success, true)
})
