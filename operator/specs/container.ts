import { hashBelow } from '../api/hash.ts'
import { effectiveListeners } from '../api/listeners.ts'
import type { TurnCluster } from '../api/turn-cluster.ts'
import { handsOver } from './hand-over.ts'
import { RELAY_FILES } from './names.ts'
import type { Container, ContainerPort, EnvVar, Probe } from './objects.ts'
import type { RelayPodInputs } from './pod.ts'
import { needsKernelPath, needsPrivilegedPorts } from './revision.ts'
import { relayMounts } from './volumes.ts'

/** Ports on the loopback of a node that the control listeners of relays are given. */
export const CONTROL_PORTS = { min: 21_000, max: 21_999 } as const
const LOOPBACK = '127.0.0.1'
/** In the image, a copy of node with a file capability, which cannot start where that capability is not allowed. */
const PRIVILEGED_PORTS_COMMAND = ['node-privileged-ports', '/app/relay/main.ts']
/** What the kernel path needs, and ports below 1024 with it. */
const KERNEL_CAPABILITIES = ['BPF', 'NET_ADMIN', 'PERFMON', 'NET_BIND_SERVICE']
/**
 * In the image, a copy of setpriv with file capabilities: a container cannot hand capabilities to a process that
 * is not root, and this one hands them on to node.
 */
const KERNEL_COMMAND = [
  'with-kernel-path',
  ...['--inh-caps', '--ambient-caps'].flatMap((flag) => [flag, kernelCapabilities()]),
  ...['node', '/app/relay/main.ts'],
]
const DEFAULT_REQUESTS = { cpu: '100m', memory: '128Mi' }

export function relayContainer(
  cluster: TurnCluster,
  ordinal: number,
  revision: string,
  inputs: RelayPodInputs,
): Container {
  const port = controlPort(cluster, ordinal, revision)
  const rights = rightsOf(cluster.spec)
  return {
    name: 'relay',
    image: inputs.image,
    ...(inputs.imagePullPolicy && { imagePullPolicy: inputs.imagePullPolicy }),
    ...(rights && { command: rights.command }),
    args: ['--config', RELAY_FILES.config, ...(inputs.succeeds ? ['--take-over'] : [])],
    env: environment(cluster, port),
    // What is declared keeps a second relay off the node, and one that takes over must get there.
    ports: [...(handsOver(cluster.spec) ? [] : listenerPorts(cluster)), controlContainerPort(port)],
    resources: resources(cluster),
    livenessProbe: probe('/livez', port, { periodSeconds: 10, failureThreshold: 6 }),
    readinessProbe: probe('/readyz', port, { periodSeconds: 1, failureThreshold: 2 }),
    securityContext: {
      // What raises a right is a file capability of a program in the image, and that needs escalation.
      allowPrivilegeEscalation: rights !== undefined,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], ...(rights && { add: rights.capabilities }) },
    },
    volumeMounts: relayMounts(cluster),
  }
}

/** The capabilities that a relay needs, and the command that gets it them; undefined: none. */
function rightsOf(
  spec: TurnCluster['spec'],
): { readonly command: string[]; readonly capabilities: string[] } | undefined {
  if (needsKernelPath(spec)) return { command: KERNEL_COMMAND, capabilities: KERNEL_CAPABILITIES }
  if (!needsPrivilegedPorts(spec)) return undefined
  return { command: PRIVILEGED_PORTS_COMMAND, capabilities: ['NET_BIND_SERVICE'] }
}

function kernelCapabilities(): string {
  return KERNEL_CAPABILITIES.map((name) => `+${name.toLowerCase()}`).join(',')
}

/**
 * The control port of one relay: two relays may share a node, so it is its own. It is declared on the pod, so
 * that the scheduler keeps two relays with the same one apart.
 */
export function controlPort(cluster: TurnCluster, ordinal: number, revision: string): number {
  const taken = new Set(effectiveListeners(cluster.spec).map((listener) => listener.port))
  const size = CONTROL_PORTS.max - CONTROL_PORTS.min + 1
  const start = hashBelow(`${cluster.metadata.uid}/${ordinal}/${revision}`, size)
  const free = Array.from({ length: taken.size + 1 }, (_, i) => CONTROL_PORTS.min + ((start + i) % size))
  return free.find((port) => !taken.has(port)) ?? CONTROL_PORTS.min
}

/** What differs from pod to pod; everything else is in the configuration file that they share. */
function environment(cluster: TurnCluster, port: number): EnvVar[] {
  return [
    { name: 'TURNFLEET_CLUSTER', value: `${cluster.metadata.namespace}/${cluster.metadata.name}` },
    { name: 'TURNFLEET_RELAY_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    { name: 'TURNFLEET_RELAY_UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
    { name: 'TURNFLEET_CONTROL_PORT', value: String(port) },
  ]
}

/** Declared so that two clusters with the same listeners never share a node. */
function listenerPorts(cluster: TurnCluster): ContainerPort[] {
  const ports = new Map<string, ContainerPort>()
  for (const { name, protocol, port } of effectiveListeners(cluster.spec)) {
    const transport = protocol === 'UDP' || protocol === 'DTLS' ? 'UDP' : 'TCP'
    const key = `${transport}/${port}`
    if (!ports.has(key)) ports.set(key, { name, containerPort: port, hostPort: port, protocol: transport })
  }
  const alternate = cluster.spec.natDiscovery?.alternatePort
  if (alternate !== undefined) {
    ports.set(`UDP/${alternate}`, { containerPort: alternate, hostPort: alternate, protocol: 'UDP' })
  }
  return [...ports.values()]
}

function controlContainerPort(port: number): ContainerPort {
  return { containerPort: port, hostPort: port, hostIP: LOOPBACK, protocol: 'TCP' }
}

function resources(cluster: TurnCluster): Container['resources'] {
  const { requests, limits } = cluster.spec.pod.resources ?? {}
  return {
    requests: requests ? asText(requests) : DEFAULT_REQUESTS,
    ...(limits && { limits: asText(limits) }),
  }
}

function asText(quantities: Record<string, string | number>): Record<string, string> {
  return Object.fromEntries(Object.entries(quantities).map(([name, quantity]) => [name, String(quantity)]))
}

function probe(path: string, port: number, timing: Pick<Probe, 'periodSeconds' | 'failureThreshold'>): Probe {
  return { httpGet: { host: LOOPBACK, path, port }, timeoutSeconds: 5, ...timing }
}
