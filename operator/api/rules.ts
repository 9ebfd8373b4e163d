import { parseDuration } from './durations.ts'
import { isIpOrCidr } from './ip.ts'
import { effectiveListeners } from './listeners.ts'
import type { Listener, TurnClusterSpec } from './turn-cluster.ts'

/**
 * What types cannot say about a spec. Each rule exists once as CEL, for the API server, and once as a function,
 * for standalone mode; a test holds the two against each other on a real API server.
 */
export interface SpecRule {
  /** Where the rule stands in the schema: `[]` an item, `{}` a value of a map, '' the spec itself. */
  at: string
  cel: string
  message: string
  /** CEL that makes a message with the numbers in it; `message` is the fall-back. */
  messageCel?: string
  broken(spec: TurnClusterSpec): boolean
  explain?(spec: TurnClusterSpec): string
}

const REALM = /^[!#-[\]-~]([ !#-[\]-~]*[!#-[\]-~])?$/
const HOSTNAME = /^(\{address\}|[a-z0-9-])+(\.(\{address\}|[a-z0-9-])+)*$/
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
/** Signed credentials carry it. */
const POLICY_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
/** Listeners give their names to the ports of the pod. */
const PORT_NAME = /^[a-z](-?[a-z0-9])*$/

/** A relay takes no more: see `challengeProblem` of its configuration. */
const THIRD_PARTY_NAMES_MAX = 36

/** A regular expression as a CEL raw string. */
const celPattern = (pattern: RegExp): string => `r'${pattern.source}'`

const rangeSize = (spec: TurnClusterSpec): number =>
  spec.network.relayPorts.max - spec.network.relayPorts.min + 1
const inRange = (spec: TurnClusterSpec, port: number): boolean =>
  port >= spec.network.relayPorts.min && port <= spec.network.relayPorts.max
const overUdp = ({ protocol }: Listener): boolean => protocol === 'UDP' || protocol === 'DTLS'
const sameSocket = (a: Listener, b: Listener): boolean => a.protocol === b.protocol && a.port === b.port

/** Every rule, in the order in which a person would want to hear of them. */
export const SPEC_RULES: readonly SpecRule[] = [
  {
    at: 'realm',
    cel: `self.matches(${celPattern(REALM)})`,
    message:
      'realm may hold printable ASCII characters only, no quotes or backslashes, and no space at its ends',
    broken: ({ realm }) => !REALM.test(realm),
  },
  {
    at: '',
    cel:
      '!has(self.credentials.thirdParty) || ' +
      `size(self.realm) + size(self.credentials.thirdParty.serverName) <= ${THIRD_PARTY_NAMES_MAX}`,
    message: `realm and credentials.thirdParty.serverName may have ${THIRD_PARTY_NAMES_MAX} characters together: an answer to a stranger carries both`,
    broken: ({ realm, credentials: { thirdParty } }) =>
      thirdParty !== undefined && realm.length + thirdParty.serverName.length > THIRD_PARTY_NAMES_MAX,
  },
  {
    at: 'network.relayPorts',
    cel: 'self.min <= self.max',
    message: 'network.relayPorts.min must not be above network.relayPorts.max',
    broken: (spec) => rangeSize(spec) < 1,
  },
  {
    at: '',
    cel:
      'self.network.relayPorts.min > self.network.relayPorts.max || ' +
      'self.network.relayPorts.max - self.network.relayPorts.min + 1 >= self.limits.allocationsPerRelay',
    message:
      'network.relayPorts holds fewer ports than limits.allocationsPerRelay: widen the range or lower the limit',
    messageCel:
      "'network.relayPorts holds %d ports, fewer than limits.allocationsPerRelay (%d): widen the range or lower the limit'" +
      '.format([self.network.relayPorts.max - self.network.relayPorts.min + 1, self.limits.allocationsPerRelay])',
    broken: (spec) => rangeSize(spec) >= 1 && rangeSize(spec) < spec.limits.allocationsPerRelay,
    explain: (spec) =>
      `network.relayPorts holds ${rangeSize(spec)} ports, fewer than limits.allocationsPerRelay ` +
      `(${spec.limits.allocationsPerRelay}): widen the range or lower the limit`,
  },
  {
    at: '',
    cel:
      "(has(self.listeners) ? self.listeners.filter(l, l.protocol in ['UDP', 'DTLS']).map(l, l.port) : [3478])" +
      '.all(p, p < self.network.relayPorts.min || p > self.network.relayPorts.max)',
    message:
      'the port of a UDP or DTLS listener lies inside network.relayPorts, where allocations get theirs: move the listener or ' +
      'the range (without listeners, UDP 3478 is one)',
    broken: (spec) => effectiveListeners(spec).some((l) => overUdp(l) && inRange(spec, l.port)),
  },
  {
    at: 'listeners[].name',
    cel: `self.matches(${celPattern(PORT_NAME)})`,
    message:
      'the name of a listener must begin with a lower-case letter and may hold such letters, digits and single inner dashes',
    broken: (spec) => (spec.listeners ?? []).some((l) => !PORT_NAME.test(l.name)),
  },
  {
    at: 'listeners',
    cel: 'self.all(a, self.exists_one(b, b.protocol == a.protocol && b.port == a.port))',
    message: 'two listeners have the same protocol and port: remove one',
    broken: (spec) =>
      (spec.listeners ?? []).some((a, i, all) => all.findIndex((b) => sameSocket(a, b)) !== i),
  },
  {
    at: 'listeners[].proxyProtocol.from[]',
    cel: 'isIP(self) || isCIDR(self)',
    message:
      'each entry of listeners[].proxyProtocol.from must be an IP address or a CIDR, such as 203.0.113.0/24',
    broken: ({ listeners }) =>
      !(listeners ?? []).every(({ proxyProtocol }) => (proxyProtocol?.from ?? []).every(isIpOrCidr)),
  },
  {
    at: '',
    cel:
      '!has(self.natDiscovery) || ' +
      '(self.natDiscovery.alternatePort < self.network.relayPorts.min || self.natDiscovery.alternatePort > self.network.relayPorts.max) && ' +
      "(has(self.listeners) ? self.listeners.exists(l, l.protocol == 'UDP' && !has(l.proxyProtocol)) && self.listeners.all(l, " +
      'l.port != self.natDiscovery.alternatePort) : self.natDiscovery.alternatePort != 3478)',
    message:
      'natDiscovery needs a UDP listener without proxyProtocol, and a port for alternatePort that no listener has and that lies outside network.relayPorts',
    broken: (spec) => {
      const port = spec.natDiscovery?.alternatePort
      if (port === undefined) return false
      const listeners = effectiveListeners(spec)
      const taken = inRange(spec, port) || listeners.some((l) => l.port === port)
      return taken || !listeners.some((l) => l.protocol === 'UDP' && !l.proxyProtocol)
    },
  },
  {
    at: '',
    cel: "!has(self.listeners) || has(self.tls) || self.listeners.all(l, !(l.protocol in ['TLS', 'DTLS']))",
    message: 'a TLS or DTLS listener needs a certificate: set tls.secretName, or remove the listener',
    broken: (spec) => !spec.tls && (spec.listeners ?? []).some((l) => ['TLS', 'DTLS'].includes(l.protocol)),
  },
  {
    at: '',
    cel: "!has(self.listeners) || self.datapath != 'Portable' || self.listeners.all(l, l.protocol != 'DTLS')",
    message: 'the portable data path speaks no DTLS: set datapath to Auto, or remove the DTLS listener',
    broken: (spec) =>
      spec.datapath === 'Portable' && (spec.listeners ?? []).some((l) => l.protocol === 'DTLS'),
  },
  {
    at: '',
    cel: "!has(self.update) || self.update.strategy != 'HandOver' || self.datapath == 'Auto' || self.datapath == 'Batched'",
    message:
      'only the batched data path hands listeners over: set datapath to Auto, or update.strategy to Surge',
    broken: ({ update: { strategy }, datapath }) =>
      strategy === 'HandOver' && datapath !== 'Auto' && datapath !== 'Batched',
  },
  {
    at: 'tls.secretName',
    cel: `self.matches(${celPattern(SUBDOMAIN)})`,
    message: 'tls.secretName must be the name of a Secret in the namespace of the TurnCluster',
    broken: ({ tls }) => tls !== undefined && !SUBDOMAIN.test(tls.secretName),
  },
  {
    at: 'tls.hostname',
    cel: `self.matches(${celPattern(HOSTNAME)})`,
    message: 'tls.hostname must be a host name in lower case, such as {address}.turn.example.org',
    broken: ({ tls }) => tls?.hostname !== undefined && !HOSTNAME.test(tls.hostname),
  },
  {
    at: 'credentials.secretName',
    cel: `self.matches(${celPattern(SUBDOMAIN)})`,
    message: 'credentials.secretName must be the name of a Secret in the namespace of the TurnCluster',
    broken: ({ credentials: { secretName } }) => secretName !== undefined && !SUBDOMAIN.test(secretName),
  },
  ...durationRules('credentials.ttl', '1m', '720h', (spec) => spec.credentials.ttl),
  ...durationRules(
    'autoscaling.scaleDownStabilization',
    '1s',
    '24h',
    (s) => s.autoscaling.scaleDownStabilization,
  ),
  ...durationRules('drain.maxDuration', '1s', '168h', (spec) => spec.drain.maxDuration),
  {
    at: 'autoscaling',
    cel: 'self.minReplicas <= self.maxReplicas',
    message: 'autoscaling.minReplicas must not be above autoscaling.maxReplicas',
    broken: ({ autoscaling }) => autoscaling.minReplicas > autoscaling.maxReplicas,
  },
  {
    at: 'peers',
    cel: "self.mode != 'Private' || size(self.allow) > 0",
    message:
      'peers.mode Private reaches nobody while peers.allow is empty: name the networks that clients may reach',
    broken: ({ peers }) => peers.mode === 'Private' && peers.allow.length === 0,
  },
  {
    at: 'peers.allow[]',
    cel: 'isIP(self) || isCIDR(self)',
    message: 'each entry of peers.allow must be an IP address or a CIDR, such as 203.0.113.0/24',
    broken: ({ peers }) => !peers.allow.every(isIpOrCidr),
  },
  {
    at: 'peers.deny[]',
    cel: 'isIP(self) || isCIDR(self)',
    message: 'each entry of peers.deny must be an IP address or a CIDR, such as 203.0.113.0/24',
    broken: ({ peers }) => !peers.deny.every(isIpOrCidr),
  },
  {
    at: 'peerPolicies[].name',
    cel: `self.matches(${celPattern(POLICY_NAME)})`,
    message: 'the name of a peer policy may hold lower-case letters, digits and inner dashes',
    broken: ({ peerPolicies }) => !peerPolicies.every(({ name }) => POLICY_NAME.test(name)),
  },
  ...(['allow', 'deny'] as const).map((list) => ({
    at: `peerPolicies[].${list}[]`,
    cel: 'isIP(self) || isCIDR(self)',
    message: `each entry of peerPolicies[].${list} must be an IP address or a CIDR, such as 203.0.113.0/24`,
    broken: ({ peerPolicies }: TurnClusterSpec) => !peerPolicies.every((one) => one[list].every(isIpOrCidr)),
  })),
  {
    at: 'realms[].realm',
    cel: `self.matches(${celPattern(REALM)})`,
    message:
      'realms[].realm may hold printable ASCII characters only, no quotes or backslashes, and no space at its ends',
    broken: ({ realms }) => !realms.every(({ realm }) => REALM.test(realm)),
  },
  {
    at: '',
    cel: '!self.realms.exists(further, further.realm == self.realm)',
    message: 'realms may not name the realm of the spec itself again',
    broken: ({ realm, realms }) => realms.some((further) => further.realm === realm),
  },
  {
    at: '',
    cel:
      'self.realms.all(further, further.listeners.all(name, ' +
      'has(self.listeners) && self.listeners.exists(l, l.name == name)))',
    message: 'realms[].listeners must name entries of listeners, which must be given for that',
    broken: ({ listeners, realms }) =>
      !realms.every((further) =>
        further.listeners.every((name) => (listeners ?? []).some((one) => one.name === name)),
      ),
  },
  {
    at: 'realms',
    cel: 'self.all(a, self.all(b, a.realm == b.realm || !a.listeners.exists(name, name in b.listeners)))',
    message: 'a listener may stand in one entry of realms only',
    broken: ({ realms }) =>
      realms.some((a) =>
        realms.some((b) => a !== b && a.listeners.some((name) => b.listeners.includes(name))),
      ),
  },
  {
    at: '',
    cel:
      'self.realms.all(further, !has(further.peerPolicy) || ' +
      'self.peerPolicies.exists(policy, policy.name == further.peerPolicy))',
    message: 'realms[].peerPolicy must name an entry of peerPolicies',
    broken: ({ peerPolicies, realms }) =>
      !realms.every(
        ({ peerPolicy }) => peerPolicy === undefined || peerPolicies.some(({ name }) => name === peerPolicy),
      ),
  },
  ...(['labels', 'annotations'] as const).map((kind) => ({
    at: `pod.${kind}`,
    cel: "self.all(key, !key.startsWith('turnfleet.dev/') && !key.startsWith('app.kubernetes.io/'))",
    message: `pod.${kind} may not set keys of turnfleet.dev/ or app.kubernetes.io/: the operator owns them`,
    broken: ({ pod }: TurnClusterSpec) => Object.keys(pod[kind] ?? {}).some(isOwnKey),
  })),
]

/** Rules about a change, which only the API server sees. */
export const TRANSITION_RULES = [
  {
    at: 'realm',
    cel: 'self == oldSelf',
    message: 'realm cannot be changed, since credentials in use carry it: make another TurnCluster instead',
  },
] as const

/** Longest name of a TurnCluster: the names of its pods must fit into 63 characters. */
export const MAX_CLUSTER_NAME = 48

/** Every sentence that `spec` deserves; empty when it is sound. */
export function brokenRules(spec: TurnClusterSpec): string[] {
  return SPEC_RULES.filter((rule) => rule.broken(spec)).map((rule) => rule.explain?.(spec) ?? rule.message)
}

/** The same for the name of a TurnCluster. */
export function brokenName(name: string): string | undefined {
  if (name.length <= MAX_CLUSTER_NAME && SUBDOMAIN.test(name)) return undefined
  return `metadata.name must be a DNS name of at most ${MAX_CLUSTER_NAME} characters: the names of the pods begin with it`
}

function isOwnKey(key: string): boolean {
  return key.startsWith('turnfleet.dev/') || key.startsWith('app.kubernetes.io/')
}

function durationRules(
  at: string,
  least: string,
  most: string,
  read: (spec: TurnClusterSpec) => string,
): SpecRule[] {
  const [low, high] = [parseDuration(least) ?? 0, parseDuration(most) ?? 0]
  return [
    {
      at,
      cel:
        "self.matches(r'^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$') && " +
        `duration(self) >= duration('${least}') && duration(self) <= duration('${most}')`,
      message: `${at} must be a duration between ${least} and ${most}, written like 90s, 10m or 12h`,
      broken: (spec) => {
        const seconds = parseDuration(read(spec))
        return seconds === undefined || seconds < low || seconds > high
      },
    },
  ]
}
