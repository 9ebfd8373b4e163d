import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseClusters, readClusterFile } from './cluster-files.ts'

const good = `apiVersion: turnfleet.dev/v1alpha1
kind: TurnCluster
metadata: {name: local}
spec:
  realm: turn.example.org
  listeners:
    - {name: udp, protocol: UDP, port: 3478}
`

test('a file with two clusters is read, with defaults', () => {
  const { clusters, problems } = parseClusters(
    'f.yaml',
    `${good}---\n${good.replace('local', 'second')}---\n`,
  )
  assert.deepEqual(problems, [])
  assert.deepEqual(
    clusters.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`),
    ['default/local', 'default/second'],
  )
  assert.equal(clusters[0]?.spec.replicas, 2)
})

test('the generation follows the spec and nothing else', () => {
  const generation = (text: string) => parseClusters('f.yaml', text).clusters[0]?.metadata.generation
  assert.equal(generation(good), generation(`# a comment\n${good}`))
  assert.notEqual(generation(good), generation(good.replace('3478', '3479')))
})

test('mistakes are told with line and field, and spare the other documents', () => {
  const problem = (text: string) => parseClusters('f.yaml', text).problems.join('\n')
  assert.match(problem(good.replace('3478', '99999')), /^f\.yaml:7: spec\.listeners\[0\]\.port: /)
  assert.match(problem(good.replace('realm', 'relm')), /^f\.yaml:5: .*spec\.relm: there is no such field/m)
  assert.match(problem(good.replace('UDP', 'SCTP')), /^f\.yaml:7: spec\.listeners\[0\]\.protocol/)
  assert.match(problem(good.replace('listeners:', 'listeners: [')), /^f\.yaml:\d+: /)
  assert.match(
    problem(`${good}  network: {relayPorts: {min: 60000, max: 50000}}\n`),
    /^f\.yaml:8: .*relayPorts/,
  )
  assert.match(problem(''), /there is no TurnCluster/)
  const mixed = parseClusters('f.yaml', `${good.replace('3478', '0')}---\n${good.replace('local', 'second')}`)
  assert.equal(mixed.problems.length, 1)
  assert.equal(mixed.clusters[0]?.metadata.name, 'second')
})

test('a file that is not there is a problem in words', async () => {
  assert.match((await readClusterFile('/nowhere/fleet.yaml')).problems[0] ?? '', /fleet\.yaml.*no such file/)
})

test('the example works as it is', async () => {
  const example = new URL('../../examples/local.yaml', import.meta.url)
  const { clusters, problems } = await readClusterFile(example.pathname)
  assert.deepEqual(problems, [])
  assert.equal(clusters[0]?.spec.replicas, 2)
})
