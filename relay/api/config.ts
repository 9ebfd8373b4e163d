import { z } from 'zod'

/**
 * The relay's configuration file: the same whether a person, the operator or standalone mode wrote it.
 * Every block is strict, so that a typing error is refused with its field instead of being ignored.
 */

const port = z.int().min(1).max(65535)
/** 0: the system chooses one; the relay's `ready` log line names it. */
const listenPort = z.int().min(0).max(65535)
const ip = z.union([z.ipv4(), z.ipv6()], 'must be a literal IP address')
const network = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], 'must be an IP address or a CIDR block')
const secret = z.string().min(1, 'must not be empty')

const listener = z.strictObject({
  protocol: z.enum(['udp', 'tcp', 'tls']),
  /** Literal address to bind; absent: every address of `relay.addresses`. */
  address: ip.optional(),
  port: listenPort,
})

/** A public address of this relay. */
export const relayAddress = z.strictObject({
  /** Literal local address; absent: `advertise` where this host has it, else the unspecified address of its family. */
  bind: ip.optional(),
  /** Literal address that clients and peers see. */
  advertise: ip,
})

/** One shared secret; `id` is what logs and reports may show. */
export const sharedKey = z.strictObject({ id: z.string().min(1).max(64), secret })

/** The content of `credentials.keysFile`: what the operator puts into the key ring's Secret. */
export const keyRingFile = z.strictObject({
  keys: z.array(sharedKey).min(1).max(16),
  nonceKeys: z.array(sharedKey).min(1).max(16),
})

export const limits = z.strictObject({
  allocations: z.int().min(1).max(65536).default(4000),
  /** A browser makes one allocation per URL and network interface: up to six a connection. */
  allocationsPerUser: z.int().min(1).max(65536).default(60),
  permissionsPerAllocation: z.int().min(1).max(1024).default(200),
  channelsPerAllocation: z.int().min(1).max(1024).default(200),
  allocationLifetimeSeconds: z.int().min(5).max(3600).default(600),
  allocationLifetimeMaxSeconds: z.int().min(5).max(86400).default(3600),
  /** RFC 8656 §9 fixes five minutes; shorter only for tests. */
  permissionLifetimeSeconds: z.int().min(2).max(300).default(300),
  /** RFC 8656 §12 fixes ten minutes; shorter only for tests. */
  channelLifetimeSeconds: z.int().min(2).max(600).default(600),
  nonceLifetimeSeconds: z.int().min(10).max(86400).default(3600),
  /** 0 turns the limit off. */
  bytesPerSecondPerAllocation: z.int().min(0).default(12_500_000),
  /** 0 turns the limit off. */
  packetsPerSecondPerAllocation: z.int().min(0).default(20_000),
  /** Answers to requests without valid credentials, per second and relay. */
  unauthenticatedResponsesPerSecond: z.int().min(10).default(5000),
  streams: z.int().min(1).default(10_000),
  streamsPerAddress: z.int().min(1).default(500),
  /** A stream that has sent no whole message by then is closed. */
  streamFirstMessageSeconds: z.int().min(1).default(10),
  streamQueueBytes: z.int().min(65_536).default(1_048_576),
})

export const peerPolicy = z.strictObject({
  /** `public`: any global unicast address; `private`: only `allow`. */
  mode: z.enum(['public', 'private']).default('public'),
  /** Addresses or CIDRs; wins over the built-in refusals. */
  allow: z.array(network).max(256).default([]),
  /** Addresses or CIDRs; wins over `allow`. */
  deny: z.array(network).max(256).default([]),
  /** RFC 6062; must be false in this version. */
  tcp: z.boolean().default(false),
  /** May a live allocation of this relay be a peer: two clients that both need the relay do. */
  hairpin: z.boolean().default(true),
})

const relayConfigFields = z.strictObject({
  realm: z.string().min(1).max(127),
  /** SOFTWARE attribute; absent: none is sent, which keeps unauthenticated answers small. */
  software: z.string().max(64).optional(),
  listeners: z.array(listener).min(1).max(32),
  relay: z.strictObject({
    addresses: z.array(relayAddress).max(8).default([]),
    /** A YAML list in the form of `addresses`, watched: how a changed public address arrives without a restart. */
    addressesFile: z.string().optional(),
    ports: z.strictObject({ min: port, max: port }).default({ min: 49152, max: 65535 }),
  }),
  tls: z.strictObject({ certFile: z.string(), keyFile: z.string() }).optional(),
  credentials: z
    .strictObject({
      keys: z.array(sharedKey).max(16).default([]),
      users: z
        .array(z.strictObject({ username: z.string().min(1).max(508), password: secret }))
        .max(10_000)
        .default([]),
      /** A file of `keyRingFile`, watched; its keys come after `keys`. */
      keysFile: z.string().optional(),
    })
    .default({ keys: [], users: [] }),
  /** Absent and no `keysFile`: one is made at start, valid on this process only. */
  nonceKeys: z.array(sharedKey).max(16).default([]),
  peers: peerPolicy.prefault({}),
  limits: limits.prefault({}),
  control: z.strictObject({ address: ip, port: listenPort }).default({ address: '127.0.0.1', port: 9641 }),
  /** Absent: stand-alone. */
  operator: z
    .strictObject({
      url: z.string(),
      tokenFile: z.string().optional(),
      caFile: z.string().optional(),
      /** Name that the operator's certificate carries, where `url` names an IP address. */
      serverName: z.string().optional(),
      intervalSeconds: z.number().min(0.2).max(60).default(2),
    })
    .optional(),
  /** What this relay calls itself in reports; absent in files, filled from the environment by the operator's pods. */
  identity: z.strictObject({ uid: z.string(), name: z.string(), cluster: z.string() }).optional(),
  drain: z.strictObject({ maxDurationSeconds: z.int().min(0).default(14_400) }).prefault({}),
  workers: z.int().min(1).max(256).optional(),
  datapath: z.enum(['auto', 'portable', 'batched', 'kernel']).default('auto'),
})

/** The whole file; the refinement holds what no single field shows. */
export const relayConfig = relayConfigFields.superRefine((config, context) => {
  const refuse = (path: (string | number)[], message: string) =>
    context.addIssue({ code: 'custom', path, message })
  const { min, max } = config.relay.ports
  if (min > max) refuse(['relay', 'ports'], `min ${min} is above max ${max}`)
  const { allocationLifetimeSeconds, allocationLifetimeMaxSeconds } = config.limits
  if (allocationLifetimeSeconds > allocationLifetimeMaxSeconds) {
    refuse(['limits', 'allocationLifetimeSeconds'], 'must not be above allocationLifetimeMaxSeconds')
  }
  if (config.peers.tcp)
    refuse(['peers', 'tcp'], 'relaying to TCP peers (RFC 6062) is not supported; leave it false')
  config.listeners.forEach((one, index) => {
    if (one.protocol === 'tls' && !config.tls) {
      refuse(
        ['listeners', index, 'protocol'],
        'a tls listener needs the block "tls" with certFile and keyFile',
      )
    }
    const same = (other: typeof one) =>
      other.protocol === one.protocol && other.address === one.address && other.port === one.port
    if (one.port !== 0 && config.listeners.findIndex(same) < index) {
      refuse(['listeners', index], `is the same as listeners[${config.listeners.findIndex(same)}]`)
    }
  })
  for (const [index, { bind, advertise }] of config.relay.addresses.entries()) {
    const path = ['relay', 'addresses', index]
    if (['0.0.0.0', '::'].includes(advertise)) {
      refuse([...path, 'advertise'], 'must be an address that clients and peers can reach')
    } else if (bind && bind.includes(':') !== advertise.includes(':')) {
      refuse([...path, 'bind'], 'must be of the family of advertise')
    }
  }
})

/** The content of `relay.addressesFile`. */
export const relayAddressesFile = z.array(relayAddress).max(8)

export type RelayConfig = z.infer<typeof relayConfig>
export type RelayConfigInput = z.input<typeof relayConfig>
export type KeyRingFile = z.infer<typeof keyRingFile>
export type SharedKey = z.infer<typeof sharedKey>
export type RelayAddress = z.infer<typeof relayAddress>
export type RelayLimits = z.infer<typeof limits>
export type PeerPolicyConfig = z.infer<typeof peerPolicy>
