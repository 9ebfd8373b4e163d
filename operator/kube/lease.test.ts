import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { VirtualClock } from '../../test/cluster/virtual-clock.ts'
import { KubeError, type KubeRequest } from './client.ts'
import { LeaderElection, type LeaseClient } from './lease.ts'

interface Stored {
  metadata: { resourceVersion: string }
  spec: { holderIdentity: string; renewTime: string; leaseTransitions: number; leaseDurationSeconds: number }
}

/** The Lease of an API server: optimistic concurrency and nothing else. */
class LeaseServer {
  stored: Stored | undefined
  readonly unreachable = new Set<string>()

  client(identity: string): LeaseClient {
    const check = (): void => {
      if (this.unreachable.has(identity)) throw new Error('unreachable')
    }
    return {
      find: async <T>() => {
        check()
        return structuredClone(this.stored) as T | undefined
      },
      request: async <T>({ method, body }: KubeRequest) => {
        check()
        const lease = structuredClone(body) as Stored
        if (
          method === 'POST'
            ? this.stored
            : lease.metadata.resourceVersion !== this.stored?.metadata.resourceVersion
        )
          throw new KubeError(409, 'Conflict', 'conflict')
        const version = Number(this.stored?.metadata.resourceVersion ?? 0) + 1
        this.stored = { ...lease, metadata: { ...lease.metadata, resourceVersion: String(version) } }
        return this.stored as T
      },
    }
  }
}

let clock: VirtualClock
let server: LeaseServer
let log: string[]
let running: LeaderElection[]

beforeEach(() => {
  clock = new VirtualClock()
  server = new LeaseServer()
  log = []
  running = []
})

afterEach(async () => {
  await Promise.all(running.map((election) => election.stop()))
})

function start(identity: string, wallMs = 0): LeaderElection {
  const election = new LeaderElection(server.client(identity), {
    namespace: 'turnfleet',
    name: 'operator',
    identity,
    clock,
    wallMs: () => wallMs + clock.nowMs(),
    random: () => 0,
    onAcquired: () => log.push(`${identity} leads`),
    onLost: () => log.push(`${identity} lost`),
  })
  running.push(election)
  election.start()
  return election
}

/** Lets time pass in small steps and proves at each that at most one process may write. */
async function pass(seconds: number, ...elections: LeaderElection[]): Promise<void> {
  for (let ms = 0; ms < seconds * 1000; ms += 250) {
    await clock.advance(250)
    assert.ok(
      elections.filter((election) => election.isLeader()).length <= 1,
      `two leaders at ${clock.nowMs()} ms`,
    )
  }
}

test('the first one leads and goes on leading; the second one waits', async () => {
  const a = start('a')
  await clock.advance(0)
  const b = start('b')
  await pass(60, a, b)
  assert.deepEqual(log, ['a leads'])
  assert.ok(a.isLeader())
  assert.throws(() => b.allowWrite(), /does not hold the Lease/)
  assert.ok(a.allowWrite() > 0 && a.allowWrite() <= 15_000)
  assert.match(server.stored!.spec.renewTime, /\.\d{6}Z$/)
})

test('a leader that is cut off stops before another one starts', async () => {
  const a = start('a')
  await clock.advance(0)
  const b = start('b')
  await pass(5, a, b)
  server.unreachable.add('a')
  await pass(8, a, b)
  assert.deepEqual(log, ['a leads'])
  await pass(16, a, b)
  assert.deepEqual(log, ['a leads', 'a lost', 'b leads'])
  assert.equal(server.stored!.spec.leaseTransitions, 1)
})

test('a write that starts at the last moment must end before the Lease can be another’s', async () => {
  const a = start('a')
  await clock.advance(0)
  server.unreachable.add('a')
  await clock.advance(9900)
  assert.ok(a.isLeader())
  assert.ok(a.allowWrite() <= 5100)
  await clock.advance(200)
  assert.throws(() => a.allowWrite())
})

test('a wrong wall clock neither takes a living Lease nor keeps a dead one', async () => {
  const a = start('a', -3600_000)
  await clock.advance(0)
  const b = start('b', 3600_000)
  await pass(40, a, b)
  assert.deepEqual(log, ['a leads'])
  server.unreachable.add('a')
  await pass(30, a, b)
  assert.deepEqual(log, ['a leads', 'a lost', 'b leads'])
})

test('a leader that stops gives the Lease back at once', async () => {
  const a = start('a')
  await clock.advance(0)
  const b = start('b')
  await pass(4, a, b)
  await a.stop()
  await pass(3, a, b)
  assert.deepEqual(log, ['a leads', 'b leads'])
})

test('a Lease that was taken away by force is lost at the next renewal', async () => {
  const a = start('a')
  await clock.advance(0)
  server.stored!.spec.holderIdentity = 'thief'
  server.stored!.metadata.resourceVersion = '100'
  await pass(3, a)
  assert.deepEqual(log, ['a leads', 'a lost'])
})
