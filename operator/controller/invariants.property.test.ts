import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SimulatedFleet } from './testing/simulated-fleet.ts'

type Fault = (fleet: SimulatedFleet, pick: number) => void

const running = (fleet: SimulatedFleet) =>
  [...fleet.relays.values()].filter(({ observed }) => observed.phase === 'Running')

const FAULTS: Fault[] = [
  (fleet, pick) => {
    fleet.cluster.spec.replicas = pick % 5
    fleet.cluster.metadata.generation++
  },
  (fleet, pick) => {
    fleet.revision = `0000aaa${pick % 3}`
  },
  (fleet, pick) => {
    const real = running(fleet)[pick % Math.max(1, running(fleet).length)]
    if (!real) return
    Object.assign(real.observed, { phase: 'Ended', ready: false })
    real.allocations = 0
  },
  (fleet, pick) => {
    const real = running(fleet)[pick % Math.max(1, running(fleet).length)]
    if (real) real.silent = !real.silent
  },
  (fleet, pick) => {
    const node = fleet.nodes[pick % fleet.nodes.length]!
    if (node.leaving === undefined) node.leaving = 'cordoned'
    else delete node.leaving
  },
  (fleet) => fleet.restartOperator(),
  (fleet, pick) => {
    fleet.nodes[pick % fleet.nodes.length]!.externalAddresses = [`198.51.100.${pick % 250}`]
  },
]

const script = fc.record({
  nodes: fc.integer({ min: 1, max: 6 }),
  autoscaled: fc.boolean(),
  events: fc.array(
    fc.record({
      waitSeconds: fc.integer({ min: 1, max: 25 }),
      fault: fc.integer({ min: -6, max: FAULTS.length - 1 }),
      pick: fc.nat(1000),
      arrivals: fc.nat(8),
      departures: fc.nat(10),
    }),
    { maxLength: 25 },
  ),
})

const spec = (autoscaled: boolean) => ({
  replicas: 2,
  limits: { allocationsPerRelay: 10 },
  autoscaling: {
    enabled: autoscaled,
    minReplicas: 1,
    maxReplicas: 5,
    buffer: { allocations: 4 },
    scaleDownStabilization: '20s',
  },
  drain: { maxDuration: '300s' },
})

test('whatever happens, no busy relay is deleted, none drains while published, and the fleet comes to rest', async () => {
  await fc.assert(
    fc.asyncProperty(script, async ({ nodes, autoscaled, events }) => {
      const fleet = new SimulatedFleet(spec(autoscaled), nodes)
      for (const { waitSeconds, fault, pick, arrivals, departures } of events) {
        FAULTS[fault]?.(fleet, pick)
        for (let i = 0; i < arrivals; i++) fleet.arrive(pick + i)
        for (let i = 0; i < departures; i++) fleet.depart(pick + i)
        await fleet.run(waitSeconds)
        assert.ok(fleet.relays.size <= 16, `${fleet.relays.size} relays exist`)
      }
      await settle(fleet)
      assert.deepEqual(fleet.violations, [])
      assertAtRest(fleet, nodes)
    }),
    { numRuns: 30 },
  )
})

/** The faults end, the clients leave, and there is time enough for every drain. */
async function settle(fleet: SimulatedFleet): Promise<void> {
  for (const node of fleet.nodes) delete node.leaving
  for (const real of fleet.relays.values()) real.silent = false
  await fleet.run(30, () => fleet.depart(0))
  for (const real of fleet.relays.values()) real.allocations = 0
  await fleet.run(450)
}

function assertAtRest(fleet: SimulatedFleet, nodes: number): void {
  const since = fleet.nowMs - 100_000
  const late = fleet.actions.filter(({ atMs, action }) => atMs > since && action.kind !== 'check-relay')
  assert.deepEqual(late, [], 'acts although nothing happens')
  assert.deepEqual(
    fleet.statusWrites.filter((atMs) => atMs > since),
    [],
    'writes although nothing happens',
  )
  const { autoscaling, readyReplicas } = fleet.cluster.status
  assert.equal(readyReplicas, Math.min(autoscaling?.desired ?? -1, nodes))
  assert.equal(fleet.cluster.status.drainingReplicas, 0)
  assert.ok([...fleet.relays.values()].every(({ observed }) => observed.revision === fleet.revision))
}
