import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ObservedNode, ObservedRelay } from './contract.ts'
import { type RelayFacts, relayState } from './relay-state.ts'
import { check, load, NOW, node, relay, STARTED } from './testing/fixtures.ts'

const ADDRESS = '203.0.113.10'

interface Case {
  relay?: Partial<ObservedRelay>
  node?: Partial<ObservedNode> | 'gone'
  facts?: (of: ObservedRelay) => Partial<RelayFacts>
  is: string
}

const drain = { sinceMs: NOW - 10_000, reason: 'ScaleDown' }

const CASES: Record<string, Case> = {
  'serves, reports and has passed its check': { is: 'Ready/Serving' },
  'waits for a node': {
    relay: { phase: 'Pending', node: undefined as never, ready: false },
    facts: () => ({ node: undefined, load: undefined }),
    is: 'Pending/WaitingForNode',
  },
  'finds no node': {
    relay: { phase: 'Pending', ready: false, trouble: { reason: 'Unschedulable', message: '0/2 nodes' } },
    is: 'Starting/Unschedulable',
  },
  'has a node and no container yet': {
    relay: { phase: 'Pending', ready: false },
    is: 'Starting/ContainerStarting',
  },
  'cannot pull its image': {
    relay: {
      phase: 'Pending',
      ready: false,
      trouble: { reason: 'ImagePullBackOff', message: 'no such image' },
    },
    is: 'Starting/ImagePullBackOff',
  },
  'crashes again and again': {
    relay: { ready: false, trouble: { reason: 'CrashLoopBackOff', message: 'exit 1' } },
    is: 'Starting/CrashLoopBackOff',
  },
  'has not reported yet': {
    facts: () => ({ load: undefined, verifiedAddress: undefined }),
    is: 'Starting/NoReportYet',
  },
  'opens its listeners': {
    facts: (of) => ({ load: load(of, { state: 'starting' }) }),
    is: 'Starting/RelayStarting',
  },
  'does not pass its readiness probe': { relay: { ready: false }, is: 'Starting/NotReady' },
  'has no public address': { relay: { addresses: [] }, is: 'Starting/NoPublicAddress' },
  'has not taken over its new address': {
    facts: (of) => ({ load: load(of, { addresses: ['198.51.100.1'] }) }),
    is: 'Verifying/AddressPending',
  },
  'has not been checked': {
    facts: () => ({ verifiedAddress: undefined, check: undefined }),
    is: 'Verifying/Checking',
  },
  'was checked through another address': {
    facts: () => ({ verifiedAddress: '198.51.100.1' }),
    is: 'Verifying/Checking',
  },
  'has failed its check': {
    facts: (of) => ({
      verifiedAddress: undefined,
      check: check(of, { state: 'failed', message: 'no echo' }),
    }),
    is: 'Verifying/CheckFailed',
  },
  'has been silent for a moment': { facts: (of) => ({ load: load(of, {}, 5) }), is: 'Verifying/ReportLate' },
  'has been silent for long': { facts: (of) => ({ load: load(of, {}, 20) }), is: 'Lost/Silent' },
  'has ended': { relay: { phase: 'Ended', ready: false }, is: 'Lost/RelayEnded' },
  'is on a node that is gone': { node: 'gone', is: 'Lost/NodeGone' },
  'is silent on a node that is down': {
    node: { ready: false },
    facts: (of) => ({ load: load(of, {}, 5) }),
    is: 'Lost/NodeNotReady',
  },
  'reports from a node that its kubelet has lost': { node: { ready: false }, is: 'Ready/Serving' },
  'is being deleted': { relay: { terminating: true }, is: 'Draining/Terminating' },
  'has been told to drain': { relay: { drain }, is: 'Draining/DrainUnacknowledged' },
  'drains with calls on it': {
    relay: { drain },
    facts: (of) => ({ load: load(of, { drainAcknowledged: true, allocations: 3, state: 'draining' }) }),
    is: 'Draining/ScaleDown',
  },
  'drains and is silent': {
    relay: { drain },
    facts: (of) => ({ load: load(of, { drainAcknowledged: true }, 8) }),
    is: 'Draining/LoadUnknown',
  },
  'reported empty before it was told to drain': {
    relay: { drain: { ...drain, sinceMs: NOW - 500 } },
    facts: (of) => ({ load: load(of, { drainAcknowledged: true }) }),
    is: 'Draining/DrainUnacknowledged',
  },
  'has drained': {
    relay: { drain },
    facts: (of) => ({ load: load(of, { drainAcknowledged: true, state: 'drained' }) }),
    is: 'Drained/Empty',
  },
  'drains and never ran': { relay: { drain, phase: 'Pending', ready: false }, is: 'Drained/NeverRan' },
  'has been un-drained and does not know it yet': {
    facts: (of) => ({ load: load(of, { state: 'draining', drainAcknowledged: true }) }),
    is: 'Verifying/Undraining',
  },
  'is not known to an operator that has just started, which knew it before': {
    facts: () => ({ load: undefined, startedAtMs: NOW - 2000 }),
    is: 'Ready/Serving',
  },
  'has not reported to an operator that has had time to hear it': {
    facts: () => ({ load: undefined, startedAtMs: NOW - 20_000 }),
    is: 'Lost/Silent',
  },
}

for (const [name, { relay: changes, node: nodeIs, facts, is }] of Object.entries(CASES)) {
  test(`a relay that ${name}: ${is}`, () => {
    const of = relay(0, changes)
    const state = relayState({
      relay: of,
      node: nodeIs === 'gone' ? undefined : node('node0', nodeIs),
      nodesKnown: true,
      load: load(of),
      check: check(of),
      verifiedAddress: ADDRESS,
      nowMs: NOW,
      startedAtMs: STARTED,
      silenceLimitSeconds: 4,
      ...facts?.(of),
    })
    assert.equal(`${state.state}/${state.reason}`, is)
    assert.ok(state.message.length > 5)
  })
}

test('where the nodes cannot be read, none is gone', () => {
  const of = relay(0)
  const facts = { relay: of, node: undefined, load: load(of), check: check(of), verifiedAddress: ADDRESS }
  const state = relayState({
    ...facts,
    nodesKnown: false,
    nowMs: NOW,
    startedAtMs: STARTED,
    silenceLimitSeconds: 4,
  })
  assert.equal(state.state, 'Ready')
})
