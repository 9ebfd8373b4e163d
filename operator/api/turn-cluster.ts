import { z } from 'zod'
import { clusterLimits } from './limits.ts'
import { network } from './network.ts'
import { namedPeers, peers } from './peers.ts'
import { furtherRealms } from './realms.ts'
import type { turnClusterStatus } from './status.ts'
import { update } from './update.ts'

/** The custom resource TurnCluster: the source of its OpenAPI schema, its defaults and its types. */

export const GROUP = 'turnfleet.dev'
export const VERSION = 'v1alpha1'
export const KIND = 'TurnCluster'
export const PLURAL = 'turnclusters'

const port = z.int().min(1).max(65535)
const secretName = z.string().min(1).max(253)
/** A duration of whole units, such as `90s`, `10m`, `12h`; `rules.ts` says what it must be. */
const duration = z.string().min(2).max(16)

const listener = z.object({
  name: z
    .string()
    .max(15)
    .describe('Name of the listener, unique in the cluster: lower-case letters, digits and dashes.'),
  protocol: z
    .enum(['UDP', 'TCP', 'TLS', 'DTLS'])
    .describe(
      'What clients speak. TLS tells plain TCP apart by the first byte, so both reach its port. DTLS is TURN over ' +
        'UDP with encryption, for clients other than browsers: /v1/ice does not name it; UDP may have its port.',
    ),
  port: port.describe('Port that every relay opens on its public addresses.'),
  proxyProtocol: z
    .object({
      from: z
        .array(z.string().min(2).max(43))
        .min(1)
        .max(64)
        .meta({ 'x-kubernetes-list-type': 'set' })
        .describe(
          'Addresses or CIDRs of the load balancers. From them everything must have a header, from others nothing.',
        ),
    })
    .optional()
    .describe(
      'Load balancers in front of the relays that say who the client is by the PROXY protocol, version 2: in front of a connection, before TLS; over UDP in front of each datagram.',
    ),
})

export const DEFAULT_LISTENERS = [
  { name: 'udp', protocol: 'UDP', port: 3478 },
  { name: 'tcp', protocol: 'TCP', port: 3478 },
] as const

/** Added to `DEFAULT_LISTENERS` where `tls` is set. */
export const DEFAULT_TLS_LISTENER = { name: 'tls', protocol: 'TLS', port: 443 } as const

const tls = z.object({
  secretName: secretName.describe('Secret of type kubernetes.io/tls in the same namespace.'),
  hostname: z
    .string()
    .max(253)
    .optional()
    .describe(
      'Host name in turns: URLs. {address} in it stands for the address of the relay with dashes for dots and ' +
        'colons (203-0-113-10), so that a wildcard certificate and DNS zone can name every relay. Absent: URLs ' +
        'carry the address itself, and the certificate must name it.',
    ),
})

const credentials = z.object({
  secretName: secretName
    .optional()
    .describe(
      'Secret with the key ring (entry keys.yaml), kept by you. Absent: <name>-turn-keys, made by the operator.',
    ),
  ttl: duration.default('12h').describe('How long a credential given to a client is valid.'),
  thirdParty: z
    .object({
      serverName: z
        .string()
        .min(1)
        .max(35)
        .describe(
          'What clients are told, and tokens are made for: the name that the authorization server knows.',
        ),
    })
    .optional()
    .describe(
      'Third-party authorization (RFC 7635), with the tokenKeys of the key ring: clients show a token of an authorization server. No browser uses it.',
    ),
})

const autoscaling = z.object({
  enabled: z
    .boolean()
    .default(false)
    .describe('Let the operator choose the number of relays; replicas is then ignored.'),
  minReplicas: z.int().min(1).max(1000).default(2).describe('Never fewer relays than this.'),
  maxReplicas: z.int().min(1).max(1000).default(20).describe('Never more relays than this.'),
  targetUtilization: z
    .int()
    .min(1)
    .max(100)
    .default(70)
    .describe('Percent of its capacity that a relay is to be filled to.'),
  buffer: z
    .object({
      allocations: z
        .int()
        .min(0)
        .max(10_000_000)
        .default(200)
        .describe('Allocations that must fit at any time without a new relay.'),
    })
    .prefault({})
    .describe('Room kept free for clients to come.'),
  scaleDownStabilization: duration
    .default('600s')
    .describe('The fleet shrinks only to the largest size that was wanted in this time.'),
})

const stringMap = (description: string) =>
  z
    .record(z.string().max(317), z.string().max(4096))
    .meta({ maxProperties: 64 })
    .optional()
    .describe(description)
/** A Kubernetes object that is passed on as it stands. */
const passedOn = () => z.record(z.string(), z.unknown())
const quantities = (description: string) =>
  z
    .record(z.string().max(317), z.union([z.int(), z.string().max(64)]))
    .meta({ maxProperties: 16 })
    .optional()
    .describe(description)

const pod = z.object({
  resources: z
    .object({
      requests: quantities('What the scheduler sets aside, such as cpu: 500m.'),
      limits: quantities('What the relay may use at most.'),
    })
    .optional()
    .describe('Resources of the relay container. Absent: requests of 100m cpu and 128Mi memory.'),
  nodeSelector: stringMap('Labels that a node must carry to run a relay.'),
  tolerations: z.array(passedOn()).max(32).optional().describe('Taints that relays put up with.'),
  affinity: passedOn()
    .optional()
    .describe('Affinity of the pods; one relay a node is always required besides.'),
  topologySpreadConstraints: z.array(passedOn()).max(16).optional().describe('How relays spread over zones.'),
  priorityClassName: z.string().max(253).optional().describe('PriorityClass of the pods.'),
  labels: stringMap('Further labels of the pods.'),
  annotations: stringMap('Further annotations of the pods.'),
})

export const turnClusterSpec = z.object({
  realm: z
    .string()
    .min(1)
    .max(127)
    .describe(
      'Realm of the credentials, usually a domain name. It cannot be changed: credentials in use carry it.',
    ),
  replicas: z
    .int()
    .min(0)
    .max(1000)
    .default(2)
    .describe('Number of relays. Ignored while autoscaling is enabled.'),
  listeners: z
    .array(listener)
    .min(1)
    .max(16)
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
    .optional()
    .describe(
      'What clients connect to, on every relay. Absent: UDP and TCP 3478, and TLS 443 where tls is set.',
    ),
  natDiscovery: z
    .object({
      alternatePort: z
        .int()
        .min(1024)
        .max(65535)
        .describe(
          'Second UDP port beside that of the first UDP listener without proxyProtocol; open it from everywhere.',
        ),
    })
    .optional()
    .describe(
      'Lets clients learn how their NAT behaves (RFC 5780) from relays whose node has two public addresses of one family; on others, and in standalone mode, it is off.',
    ),
  network: network.prefault({}).describe('Addresses and ports of the relays.'),
  tls: tls.optional().describe('Certificate of the TLS listeners.'),
  credentials: credentials.prefault({}).describe('Keys that the credentials of clients are made with.'),
  peers: peers.prefault({}).describe('Addresses that clients may reach through a relay.'),
  peerPolicies: z
    .array(namedPeers)
    .max(16)
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
    .default([])
    .describe(
      'Further policies, each for the clients whose signed credential names it, in place of peers. What peers.deny names is refused by all.',
    ),
  realms: furtherRealms,
  limits: clusterLimits.prefault({}).describe('Limits of every relay.'),
  autoscaling: autoscaling.prefault({}).describe('How the number of relays follows the live allocations.'),
  drain: z
    .object({
      maxDuration: duration
        .default('4h')
        .describe('A draining relay is ended after this time even when it still carries allocations.'),
    })
    .prefault({})
    .describe('How a relay is taken out of service.'),
  update: update.prefault({}).describe('How relays are replaced that cannot take a change over live.'),
  datapath: z
    .enum(['Auto', 'Portable', 'Batched', 'Kernel'])
    .default('Auto')
    .describe(
      'How relays move packets. Auto is Batched where a node can have it, and Portable elsewhere, which the log of the relay says; Batched makes fewer system calls and uses every core, on Linux; Portable works everywhere, with one core; Kernel has an eBPF program forward what it may, on nodes with Linux 6.6 and later, and is Batched elsewhere: its relays get the capabilities BPF, NET_ADMIN and PERFMON. A change replaces the relays, one after the other.',
    ),
  pod: pod.prefault({}).describe('Additions to the pods of the relays.'),
})

export type TurnClusterSpec = z.infer<typeof turnClusterSpec>
export type TurnClusterSpecInput = z.input<typeof turnClusterSpec>
export type Listener = z.infer<typeof listener>
export type TurnClusterStatus = z.infer<typeof turnClusterStatus>
export type RelayStatus = NonNullable<TurnClusterStatus['relays']>[number]
export type Condition = NonNullable<TurnClusterStatus['conditions']>[number]

export const CONDITION_TYPES = [
  'Ready',
  'Progressing',
  'Degraded',
  'AddressesResolved',
  'TLSReady',
  'CredentialsReady',
  'ScalingLimited',
  'NetworksKnown',
] as const
export type ConditionType = (typeof CONDITION_TYPES)[number]

export const RELAY_STATES = [
  'Pending',
  'Starting',
  'Verifying',
  'Ready',
  'Draining',
  'Drained',
  'Lost',
] as const
export type RelayState = (typeof RELAY_STATES)[number]

interface ObjectMeta {
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
