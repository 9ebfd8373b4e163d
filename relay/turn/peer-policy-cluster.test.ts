import assert from 'node:assert/strict'
import { test } from 'node:test'
import { address } from '../../test/support/turn-harness.ts'
import { PeerPolicy, type PeerPolicyOptions } from './peer-policy.ts'

/** The policy of a relay in a cluster with these pods, services and nodes. */
function policy(options: Partial<PeerPolicyOptions> = {}): PeerPolicy {
  const everything = {
    mode: 'public' as const,
    allow: [],
    deny: [],
    hairpin: true,
    advertised: [ip('192.0.2.1')],
    own: [ip('192.0.2.1')],
    ownPorts: new Set([3478]),
    internal: ['10.96.0.0/12', '10.244.0.0/16', '2a00:1::/64'],
    nodes: ['203.1.2.3', '10.0.0.7'],
  }
  return new PeerPolicy({ ...everything, ...options }, () => false)
}

const ip = (text: string) => address(text.includes(':') ? `[${text}]:0` : `${text}:0`)

const VERDICTS: readonly [
  name: string,
  options: Partial<PeerPolicyOptions>,
  peer: string,
  verdict: string,
][] = [
  ['a pod', {}, '10.244.1.2', 'peer-special'],
  ['a pod with a public address', {}, '2a00:1::5', 'peer-special'],
  ['a pod behind a wider entry of allow', { allow: ['10.0.0.0/8'] }, '10.244.1.2', 'peer-special'],
  ['a pod that allow names as narrowly', { allow: ['10.244.0.0/16'] }, '10.244.1.2', 'allowed'],
  ['a service that allow names by its address', { allow: ['10.96.0.10'] }, '10.96.0.10', 'allowed'],
  [
    'a pod inside NAT64 that is allowed',
    { allow: ['64:ff9b::/96', '10.0.0.0/8'] },
    '64:ff9b::10.244.1.2',
    'peer-special',
  ],
  ['what is beside it in a wider entry of allow', { allow: ['10.0.0.0/8'] }, '10.1.1.1', 'allowed'],
  ['a node with a public address', {}, '203.1.2.3', 'node'],
  ['a node in a wider entry of allow', { allow: ['203.1.2.0/24'] }, '203.1.2.3', 'node'],
  ['a node that allow names', { allow: ['203.1.2.3'] }, '203.1.2.3', 'allowed'],
  ['a node with a private address', {}, '10.0.0.7', 'peer-special'],
  ['a node inside NAT64 that is allowed', { allow: ['64:ff9b::/96'] }, '64:ff9b::203.1.2.3', 'peer-special'],
  ['a node in private mode', { mode: 'private' }, '203.1.2.3', 'peer-not-allowed'],
  ['a node that deny names', { deny: ['203.1.2.3'] }, '203.1.2.3', 'peer-denied'],
]
for (const [name, options, peer, verdict] of VERDICTS) {
  test(`the cluster behind the relay: ${name} is ${verdict}`, () => {
    assert.equal(policy(options).judge(ip(peer)), verdict)
  })
}

test('of a node only the ports that relays give out are peers, and none without hairpin', () => {
  const ports = { nodePorts: { min: 49_152, max: 65_535 } }
  const admits = (peer: string, options: Partial<PeerPolicyOptions> = {}) => {
    const judge = policy({ ...ports, ...options })
    return judge.admits(judge.judge(address(peer)), address(peer))
  }
  assert.ok(admits('203.1.2.3:50000'), 'a relayed address there: both clients need a relay')
  for (const port of [443, 3478, 6443, 10_250, 30_080]) assert.ok(!admits(`203.1.2.3:${port}`), String(port))
  assert.ok(!admits('203.1.2.3:50000', { hairpin: false }))
  assert.deepEqual(policy().explain(address('203.1.2.3:10250')), { rule: 'node' })
  assert.deepEqual(policy().explain(address('10.244.1.2:80')), {
    rule: 'internal',
    network: '10.244.0.0/16',
  })
})
