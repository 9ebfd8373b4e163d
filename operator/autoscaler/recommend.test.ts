import assert from 'node:assert/strict'
import { test } from 'node:test'
import { turnCluster } from '../controller/testing/fixtures.ts'
import { type Demand, recommend } from './recommend.ts'

const SPEC = turnCluster({
  autoscaling: {
    enabled: true,
    minReplicas: 1,
    maxReplicas: 20,
    targetUtilization: 70,
    buffer: { allocations: 200 },
  },
}).spec.autoscaling
const IDLE: Demand = {
  allocations: 0,
  capacityPerRelay: 1000,
  zones: 1,
  growthPerSecond: 0,
  startupSeconds: 30,
}

const CASES: Record<string, { demand: Partial<Demand>; replicas: number; binding: string; says: RegExp }> = {
  'an idle fleet keeps its buffer': { demand: {}, replicas: 1, binding: 'Buffer', says: /room for 200 more/ },
  'the target binds where it asks for most': {
    demand: { allocations: 2101 },
    replicas: 4,
    binding: 'Utilization',
    says: /2101 allocations fill 4 relays of 1000 to 70 %/,
  },
  'a share that is met exactly needs no more': {
    demand: { allocations: 2100 },
    replicas: 3,
    binding: 'Utilization',
    says: /3/,
  },
  'growth until a new relay is ready widens the buffer': {
    demand: { growthPerSecond: 50, startupSeconds: 60 },
    replicas: 5,
    binding: 'Buffer',
    says: /room for 4500 more, by growth of 50\.0 a second/,
  },
  'a zone that fails must fit into the others': {
    demand: { allocations: 4000, zones: 2 },
    replicas: 8,
    binding: 'ZoneFailure',
    says: /when one of 2 zones fails/,
  },
  'the highest number allowed binds': {
    demand: { allocations: 100_000 },
    replicas: 20,
    binding: 'MaxReplicas',
    says: /autoscaling\.maxReplicas allows 20/,
  },
}

for (const [name, { demand, replicas, binding, says }] of Object.entries(CASES)) {
  test(name, () => {
    const recommendation = recommend({ ...IDLE, ...demand }, SPEC)
    assert.equal(recommendation.replicas, replicas)
    assert.equal(recommendation.binding, binding)
    assert.match(recommendation.message, says)
  })
}

test('the lowest number allowed binds where the load asks for less', () => {
  const recommendation = recommend(IDLE, { ...SPEC, minReplicas: 3 })
  assert.equal(recommendation.replicas, 3)
  assert.equal(recommendation.binding, 'MinReplicas')
  assert.equal(recommendation.unbounded, 1)
})
