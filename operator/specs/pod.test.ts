import assert from 'node:assert/strict'
import { test } from 'node:test'
import { turnCluster } from '../controller/testing/fixtures.ts'
import { CONTROL_PORTS, controlPort } from './container.ts'
import { parseRelayName, relayName } from './names.ts'
import { relayPod } from './pod.ts'

const INPUTS = { image: 'turnfleet/relay:1', operatorUrl: 'https://turnfleet.turnfleet.svc:9443' }
const TLS = { secretName: 'turn-tls' }

const podOf = (spec = {}, ordinal = 0) => relayPod(turnCluster(spec), ordinal, '0000cafe', INPUTS)
const containerOf = (spec = {}, ordinal = 0) => podOf(spec, ordinal).spec.containers[0]!

test('a relay has no rights and no token but the one for its reports', () => {
  const { spec } = podOf()
  const container = containerOf()
  assert.equal(spec.automountServiceAccountToken, false)
  assert.equal(spec.securityContext.runAsNonRoot, true)
  assert.equal(spec.securityContext.runAsUser, 65532)
  assert.deepEqual(container.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  })
  const token = spec.volumes.find(({ name }) => name === 'token')?.projected?.sources[0]?.serviceAccountToken
  assert.equal(token?.audience, 'turnfleet.dev/operator')
})

test('a port below 1024 brings the one capability that it needs', () => {
  const { securityContext } = containerOf({ tls: TLS })
  assert.deepEqual(securityContext.capabilities, { drop: ['ALL'], add: ['NET_BIND_SERVICE'] })
  assert.equal(securityContext.allowPrivilegeEscalation, true)
})

test('the kernel data path brings its capabilities, and what hands them to a process that is not root', () => {
  const { securityContext, command } = containerOf({ datapath: 'Kernel' })
  const add = ['BPF', 'NET_ADMIN', 'PERFMON', 'NET_BIND_SERVICE']
  assert.deepEqual(securityContext.capabilities, { drop: ['ALL'], add })
  assert.equal(securityContext.allowPrivilegeEscalation, true)
  const all = '+bpf,+net_admin,+perfmon,+net_bind_service'
  const flags = ['--inh-caps', all, '--ambient-caps', all]
  assert.deepEqual(command, ['with-kernel-path', ...flags, 'node', '/app/relay/main.ts'])
})

test('on the host network every declared port is the port of the node, and the range is not declared', () => {
  const { spec } = podOf({ tls: TLS })
  assert.equal(spec.hostNetwork, true)
  for (const port of containerOf({ tls: TLS }).ports) assert.equal(port.hostPort, port.containerPort)
  assert.deepEqual(
    containerOf({ tls: TLS }).ports.map(({ protocol, hostPort, hostIP }) =>
      hostIP ? hostIP : `${protocol} ${hostPort}`,
    ),
    ['UDP 3478', 'TCP 3478', 'TCP 443', '127.0.0.1'],
  )
})

test('DTLS and UDP are one port of the node', () => {
  const listeners = [
    { name: 'udp', protocol: 'UDP' as const, port: 3478 },
    { name: 'dtls', protocol: 'DTLS' as const, port: 3478 },
    { name: 'dtls-5349', protocol: 'DTLS' as const, port: 5349 },
  ]
  assert.deepEqual(
    containerOf({ tls: TLS, listeners })
      .ports.filter(({ hostIP }) => !hostIP)
      .map(({ name, protocol, hostPort }) => `${name} ${protocol} ${hostPort}`),
    ['udp UDP 3478', 'dtls-5349 UDP 5349'],
  )
})

test('the alternate port of NAT discovery is declared, so that no other relay of the node has it', () => {
  const { ports } = containerOf({ natDiscovery: { alternatePort: 3479 } })
  const own = ports.filter(({ hostIP, protocol }) => !hostIP && protocol === 'UDP')
  assert.deepEqual(
    own.map(({ hostPort }) => hostPort),
    [3478, 3479],
  )
})

test('probes ask the control port on the loopback of the node, and the relay is told that port', () => {
  const container = containerOf()
  const { readinessProbe, livenessProbe } = container
  assert.equal(readinessProbe.httpGet.host, '127.0.0.1')
  assert.equal(readinessProbe.httpGet.path, '/readyz')
  assert.equal(livenessProbe.httpGet.path, '/livez')
  const told = container.env.find(({ name }) => name === 'TURNFLEET_CONTROL_PORT')?.value
  assert.equal(told, String(readinessProbe.httpGet.port))
})

test('control ports stay in their range, keep clear of listeners, and differ between relays', () => {
  const ports = Array.from({ length: 50 }, (_, ordinal) => controlPort(turnCluster(), ordinal, '0000cafe'))
  assert.ok(ports.every((port) => port >= CONTROL_PORTS.min && port <= CONTROL_PORTS.max))
  assert.ok(new Set(ports).size > 40, 'nearly every relay has its own')
  const taken = controlPort(turnCluster(), 0, '0000cafe')
  const listeners = [{ name: 'tcp', protocol: 'TCP' as const, port: taken }]
  assert.notEqual(controlPort(turnCluster({ listeners }), 0, '0000cafe'), taken)
})

test('no two relays of a cluster share a node, whatever affinity the user adds', () => {
  const wanted = {
    nodeAffinity: { x: 1 },
    podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ own: 1 }] },
  }
  const affinity = podOf({ pod: { affinity: wanted } }).spec.affinity as {
    nodeAffinity: unknown
    podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { topologyKey?: string }[] }
  }
  const terms = affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution
  assert.deepEqual(affinity.nodeAffinity, { x: 1 })
  assert.equal(terms.length, 2)
  assert.equal(terms[1]?.topologyKey, 'kubernetes.io/hostname')
})

test('additions of the user are taken over, and our labels win', () => {
  const pod = {
    labels: { team: 'calls', 'turnfleet.dev/cluster': 'other' },
    nodeSelector: { pool: 'turn' },
    tolerations: [{ key: 'turn', operator: 'Exists' }],
    priorityClassName: 'high',
    resources: { requests: { cpu: 1 }, limits: { memory: '1Gi' } },
  }
  const { metadata, spec } = podOf({ pod })
  assert.equal(metadata.labels.team, 'calls')
  assert.equal(metadata.labels['turnfleet.dev/cluster'], 'public')
  assert.deepEqual(spec.nodeSelector, { pool: 'turn' })
  assert.deepEqual(spec.tolerations, pod.tolerations)
  assert.equal(spec.priorityClassName, 'high')
  assert.deepEqual(containerOf({ pod }).resources, { requests: { cpu: '1' }, limits: { memory: '1Gi' } })
  assert.deepEqual(containerOf().resources.requests, { cpu: '100m', memory: '128Mi' })
})

test('a pod that is told to end has time for the longest drain', () => {
  assert.equal(podOf({ drain: { maxDuration: '1h' } }).spec.terminationGracePeriodSeconds, 3630)
})

test('the TurnCluster owns its pods', () => {
  assert.deepEqual(podOf().metadata.ownerReferences, [
    {
      apiVersion: 'turnfleet.dev/v1alpha1',
      kind: 'TurnCluster',
      name: 'public',
      uid: 'cluster-uid',
      controller: true,
      blockOwnerDeletion: true,
    },
  ])
})

test('the DNS of the cluster is asked only where the operator has a name', () => {
  assert.equal(podOf().spec.dnsPolicy, 'ClusterFirstWithHostNet')
  for (const operatorUrl of ['https://10.0.0.1:9443', 'https://[fd00::1]:9443']) {
    assert.equal(relayPod(turnCluster(), 0, '0000cafe', { ...INPUTS, operatorUrl }).spec.dnsPolicy, 'Default')
  }
})

test('the name of a relay can be read back, and only for its own cluster', () => {
  assert.deepEqual(parseRelayName('public', relayName('public', 12, '0000cafe')), {
    ordinal: 12,
    revision: '0000cafe',
  })
  assert.equal(parseRelayName('public', 'public-relay'), undefined)
  assert.equal(parseRelayName('pub', 'public-0-0000cafe'), undefined)
})
