import { z } from 'zod'

/** The custom resource TurnCluster: the source of its OpenAPI schema, its defaults and its types. */

export const GROUP = 'turnfleet.dev'
export const VERSION = 'v1alpha1'
export const KIND = 'TurnCluster'
export const PLURAL = 'turnclusters'

const port = z.int().min(1).max(65535)
/** A Kubernetes duration of whole units, such as `90s`, `10m`, `12h`. */
export const duration = z.string().regex(/^([0-9]+h)?([0-9]+m)?([0-9]+s)?$/).min(2).max(16)

export const listener = z.object({
  name: z.string().regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/).max(15),
  protocol: z.enum(['UDP', 'TCP', 'TLS']),
  port,
})

export const DEFAULT_LISTENERS = [
  { name: 'udp', protocol: 'UDP', port: 3478 },
  { name: 'tcp', protocol: 'TCP', port: 3478 },
] as const

export const addressSource = z.enum(['NodeAnnotation', 'NodeExternalIP', 'NodeInternalIP'])

export const turnClusterSpec = z.object({
  realm: z.string().min(1).max(127),
  replicas: z.int().min(0).max(1000).default(2),
  /** Defaulted in code: UDP and TCP 3478, and TLS 443 where `tls` is set. */
  listeners: z.array(listener).min(1).max(16).optional(),
  network: z
    .object({
      mode: z.enum(['HostNetwork']).default('HostNetwork'),
      relayPorts: z.object({ min: port.default(49152), max: port.default(65535) }).prefault({}),
      addressSources: z.array(addressSource).min(1).max(8).default(['NodeAnnotation', 'NodeExternalIP']),
      families: z.array(z.enum(['IPv4', 'IPv6'])).min(1).max(2).default(['IPv4', 'IPv6']),
    })
    .prefault({}),
  tls: z.object({ secretName: z.string().min(1).max(253) }).optional(),
  credentials: z
    .object({
      /** Absent: `<name>-turn-keys`, created by the operator. */
      secretName: z.string().min(1).max(253).optional(),
      ttl: duration.default('12h'),
    })
    .prefault({}),
  peers: z
    .object({
      mode: z.enum(['Public', 'Private']).default('Public'),
      allow: z.array(z.string().max(64)).max(256).default([]),
      deny: z.array(z.string().max(64)).max(256).default([]),
    })
    .prefault({}),
  limits: z
    .object({
      allocationsPerRelay: z.int().min(1).max(65536).default(4000),
      allocationsPerUser: z.int().min(1).max(65536).default(60),
      bytesPerSecondPerAllocation: z.int().min(0).default(12_500_000),
      packetsPerSecondPerAllocation: z.int().min(0).default(20_000),
    })
    .prefault({}),
  autoscaling: z
    .object({
      enabled: z.boolean().default(false),
      minReplicas: z.int().min(1).max(1000).default(2),
      maxReplicas: z.int().min(1).max(1000).default(20),
      /** Percent of the capacity of the ready relays. */
      targetUtilization: z.int().min(1).max(100).default(70),
      buffer: z.object({ allocations: z.int().min(0).default(200) }).prefault({}),
      scaleDownStabilization: duration.default('600s'),
    })
    .prefault({}),
  drain: z.object({ maxDuration: duration.default('4h') }).prefault({}),
  datapath: z.enum(['Auto', 'Portable', 'Batched', 'Kernel']).default('Auto'),
  pod: z
    .object({
      resources: z
        .object({
          requests: z.record(z.string(), z.string()).optional(),
          limits: z.record(z.string(), z.string()).optional(),
        })
        .optional(),
      nodeSelector: z.record(z.string(), z.string()).optional(),
      tolerations: z.array(z.record(z.string(), z.unknown())).max(32).optional(),
      affinity: z.record(z.string(), z.unknown()).optional(),
      topologySpreadConstraints: z.array(z.record(z.string(), z.unknown())).max(16).optional(),
      priorityClassName: z.string().max(253).optional(),
      labels: z.record(z.string(), z.string()).optional(),
      annotations: z.record(z.string(), z.string()).optional(),
    })
    .prefault({}),
})

export type TurnClusterSpec = z.infer<typeof turnClusterSpec>
export type TurnClusterSpecInput = z.input<typeof turnClusterSpec>
export type Listener = z.infer<typeof listener>

export const CONDITION_TYPES = [
  'Ready',
  'Progressing',
  'Degraded',
  'AddressesResolved',
  'TLSReady',
  'CredentialsReady',
  'ScalingLimited',
] as const
export type ConditionType = (typeof CONDITION_TYPES)[number]

export interface Condition {
  type: ConditionType
  status: 'True' | 'False' | 'Unknown'
  reason: string
  message: string
  observedGeneration: number
  lastTransitionTime: string
}

export type RelayState = 'Pending' | 'Starting' | 'Verifying' | 'Ready' | 'Draining' | 'Drained' | 'Lost'

export interface RelayStatus {
  name: string
  node?: string
  address?: string
  state: RelayState
  allocations?: number
}

export interface TurnClusterStatus {
  observedGeneration?: number
  conditions?: Condition[]
  replicas?: number
  readyReplicas?: number
  drainingReplicas?: number
  /** Label selector of the relays, in the string form that `/scale` wants. */
  selector?: string
  allocations?: { active: number; draining: number; capacity: number }
  utilizationPercent?: number
  autoscaling?: { desired: number; binding: string; message: string; time: string }
  /** At most 100 entries; `relaysOmitted` counts the rest. */
  relays?: RelayStatus[]
  relaysOmitted?: number
  uris?: string[]
}

export interface ObjectMeta {
  name: string
  namespace: string
  uid: string
  generation: number
  resourceVersion?: string
  deletionTimestamp?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
}

/** A TurnCluster with its defaults filled in. */
export interface TurnCluster {
  metadata: ObjectMeta
  spec: TurnClusterSpec
  status: TurnClusterStatus
}
