import { z } from 'zod'
import { ALTERNATES_MAX, alternate } from './alternate.ts'
import { ip, listenPort, portRange, relayAddress } from './config-fields.ts'
import { challengeProblem, credentialsConfig, sharedKey } from './credentials-config.ts'
import { handOverConfig, handOverProblem } from './hand-over-config.ts'
import { relayLimits } from './limits.ts'
import { listener } from './listener-config.ts'
import { natDiscovery } from './nat-discovery-config.ts'
import { namedPeerPolicy, peerPolicy } from './peer-policy-config.ts'
import { furtherRealms, realmProblems } from './realm-config.ts'

/**
 * The relay's configuration file: the same whether a person, the operator or standalone mode wrote it.
 * Every block is strict, so that a typing error is refused with its field instead of being ignored.
 */

const relayConfigFields = z.strictObject({
  realm: z
    .string()
    .min(1)
    .max(127)
    .describe(
      'Realm of the credentials. Up to 20 characters keep the first answer to a client within 2.6 times its request.',
    ),
  software: z
    .string()
    .max(64)
    .optional()
    .describe('SOFTWARE attribute. Absent: none is sent, which keeps unauthenticated answers small.'),
  listeners: z.array(listener).min(1).max(32).describe('What clients connect to.'),
  relay: z
    .strictObject({
      addresses: z.array(relayAddress).max(8).default([]).describe('Public addresses of this relay.'),
      addressesFile: z
        .string()
        .optional()
        .describe(
          'A YAML list in the form of addresses, watched: how a changed public address arrives without a restart.',
        ),
      ports: portRange.default({ min: 49152, max: 65535 }).describe('UDP ports that allocations are given.'),
    })
    .describe('The side of the peers.'),
  natDiscovery: natDiscovery
    .optional()
    .describe(
      'Opens UDP listeners on two addresses and two ports, by which clients learn how their NAT behaves (RFC 5780). Answers there are up to 3.4 times as long as the shortest request, 5.8 times over IPv6. Absent: requests that need it get 420.',
    ),
  tls: z
    .strictObject({
      certFile: z.string().describe('Certificate and its chain.'),
      keyFile: z.string().describe('Private key of the certificate.'),
    })
    .optional()
    .describe('Certificate and key of the TLS listeners, PEM, watched.'),
  credentials: credentialsConfig
    .default({ keys: [], users: [], offerSha256: false })
    .describe('Who may use the relay.'),
  realms: furtherRealms
    .default([])
    .describe(
      'Further realms, each with users, keys and limits of its own. A request belongs to the realm that it names; one that names none is challenged for a realm by its ORIGIN, by the name that it asked for in TLS, by its listener, else for the default one.',
    ),
  nonceKeys: z
    .array(sharedKey)
    .max(16)
    .default([])
    .describe(
      'Secrets that nonces are made with, the same on every relay of a fleet. Absent here and in keysFile: one is made at start, valid on this process only.',
    ),
  mobility: z
    .boolean()
    .default(false)
    .describe(
      'Lets clients that ask for it keep their allocation when their address changes (RFC 8016). No browser does.',
    ),
  peers: peerPolicy.prefault({}).describe('Addresses that clients may reach.'),
  peerPolicies: z
    .array(namedPeerPolicy)
    .max(32)
    .default([])
    .describe(
      'Further policies, each for the clients whose signed credential names it, in place of peers. What peers.deny names is refused by all.',
    ),
  limits: relayLimits.prefault({}).describe('Limits of this relay.'),
  control: z
    .strictObject({
      address: ip.describe('Literal address; keep it private.'),
      port: listenPort.describe('Port; 0 lets the system choose one.'),
    })
    .default({ address: '127.0.0.1', port: 9641 })
    .describe('Where /metrics, /livez, /readyz, /load and /events are served.'),
  operator: z
    .strictObject({
      url: z.string().describe('Address of the operator.'),
      tokenFile: z.string().optional().describe('Token that authenticates the reports, read anew for each.'),
      caFile: z.string().optional().describe('Certificate authority of the operator, PEM.'),
      serverName: z
        .string()
        .optional()
        .describe("Name that the operator's certificate carries, where url names an IP address."),
      intervalSeconds: z
        .number()
        .min(0.2)
        .max(60)
        .default(2)
        .describe('Time between two reports, until the operator says otherwise.'),
    })
    .optional()
    .describe('The operator that this relay reports to. Absent: none, it stands alone.'),
  identity: z
    .strictObject({
      uid: z.string().describe('Uid of the pod or process.'),
      name: z.string().describe('Name of the relay.'),
      cluster: z.string().describe('namespace/name of the TurnCluster.'),
    })
    .optional()
    .describe(
      'What this relay calls itself in reports; absent in files, taken from the environment in pods of the operator.',
    ),
  drain: z
    .strictObject({
      maxDurationSeconds: z
        .int()
        .min(0)
        .default(14_400)
        .describe('After this time it ends with what it still carries.'),
      alternates: z
        .array(z.strictObject(alternate.shape).extend({ address: ip.describe('Literal address.') }))
        .max(ALTERNATES_MAX)
        .default([])
        .describe('Where new clients are sent meanwhile, best first; an operator says so instead.'),
    })
    .prefault({})
    .describe('How long a relay that has been told to end waits for its allocations.'),
  handOver: handOverConfig
    .optional()
    .describe(
      'Lets another relay of the same user, started with --take-over, take the listeners while this one serves its clients to their end. Needs datapath auto or batched, on Linux. Absent: none may.',
    ),
  workers: z
    .int()
    .min(1)
    .max(255)
    .optional()
    .describe(
      'Event loops, each on a thread of its own where they are several. Absent: on the batched data path one for each core that the process may use, as its memory limit allows; one on the others, which have no more.',
    ),
  datapath: z
    .enum(['auto', 'portable', 'batched', 'kernel'])
    .default('auto')
    .describe(
      'How packets are moved. auto is batched on Linux, and portable where that cannot be had, which the log says; batched makes fewer system calls, uses every core, speaks DTLS, and tells clients what ICMP says of their peers (RFC 8656 §11.5); portable works everywhere; kernel has an eBPF program forward what it may, on Linux 6.6 and later with the capabilities BPF, NET_ADMIN and PERFMON, and is batched without them.',
    ),
  dscp: z
    .enum(['keep', 'clear'])
    .default('keep')
    .describe(
      'DSCP of relayed datagrams, on the data paths batched and kernel: keep lets them go on with the one that they came with, but for those of network control (48 to 63); clear sends all as best effort. ECN is kept in any case (RFC 8656 §14).',
    ),
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
  config.peerPolicies.forEach(({ name }, index) => {
    if (config.peerPolicies.findIndex((other) => other.name === name) < index)
      refuse(['peerPolicies', index, 'name'], `the name "${name}" stands there twice`)
  })
  const challenge = challengeProblem(config.realm, config.credentials)
  if (challenge) refuse(['credentials', 'thirdParty'], challenge)
  for (const [path, message] of realmProblems(config)) refuse(path, message)
  const handOver = handOverProblem(config)
  if (handOver) refuse(['handOver'], handOver)
  config.listeners.forEach((one, index) => {
    if ((one.protocol === 'tls' || one.protocol === 'dtls') && !config.tls) {
      refuse(
        ['listeners', index, 'protocol'],
        `a ${one.protocol} listener needs the block "tls" with certFile and keyFile`,
      )
    }
    if (one.protocol === 'dtls' && config.datapath === 'portable') {
      refuse(
        ['listeners', index, 'protocol'],
        'the portable data path speaks no DTLS: set datapath to auto, or remove the listener',
      )
    }
    const same = (other: typeof one) =>
      other.protocol === one.protocol && other.address === one.address && other.port === one.port
    if (one.port !== 0 && config.listeners.findIndex(same) < index) {
      refuse(['listeners', index], `is the same as listeners[${config.listeners.findIndex(same)}]`)
    }
  })
  config.listeners.forEach(({ protocol, address, port, proxyProtocol }, index) => {
    if (protocol !== 'udp' || !config.natDiscovery?.ports.includes(port)) return
    if (address === '0.0.0.0' || address === '::') {
      refuse(['listeners', index, 'address'], 'must be one address, as natDiscovery has this port too')
    }
    if (proxyProtocol) {
      refuse(
        ['listeners', index, 'proxyProtocol'],
        'natDiscovery has this port too, and needs clients to come directly',
      )
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
export type RelayAddress = z.infer<typeof relayAddress>
export type RelayLimits = z.infer<typeof relayLimits>
