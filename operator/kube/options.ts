import { parseArgs } from 'node:util'

/** What the operator is told on its command line or in its environment. */
export interface OperatorOptions {
  kubeconfig?: string
  /** Namespace of the operator's own objects. */
  namespace?: string
  /** Empty: all. */
  watchNamespaces: string[]
  service?: string
  advertiseUrl?: string
  relayImage: string
  imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never'
  imagePullSecrets: string[]
  relayServiceAccount?: string
  apiKeysSecret?: string
  servingSecret: string
  leaderElect: boolean
  lease: string
  /** Absent: every address, of IPv6 too where there is IPv6. */
  host?: string
  port: number
  logLevel: string
}

const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'] as const
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']
const DEFAULT_PORT = 8443

/** Entry of the Secret with the API keys: a YAML list of `{id, hash, clusters, origins, perMinute}`. */
export const API_KEYS_ENTRY = 'api-keys.yaml'

export const USAGE = `Runs TurnClusters on Kubernetes: with the current kubeconfig, or with its service account inside a cluster.

  turnfleet operator [options]          each option can be given as the environment variable beside it

  --relay-image IMAGE         RELAY_IMAGE            image of the relay pods (required)
  --image-pull-policy POLICY  IMAGE_PULL_POLICY      Always, IfNotPresent or Never; absent: Kubernetes decides
  --image-pull-secrets NAMES  IMAGE_PULL_SECRETS     Secrets for that image in the clusters' namespaces, by commas
  --relay-service-account SA  RELAY_SERVICE_ACCOUNT  account of the relay pods; absent: the default one
  --watch-namespaces NAMES    WATCH_NAMESPACES       namespaces to serve, by commas; absent: all
  --namespace NAME            POD_NAMESPACE          namespace of the operator's own Secrets and Lease; absent: that of
                                                     the kubeconfig or of the service account
  --service NAME              OPERATOR_SERVICE       Service of the operator in that namespace: relays report to its
                                                     cluster IP, at its port "https" or its first one
  --advertise-url URL         ADVERTISE_URL          where relays report to instead, such as https://10.0.0.5:8443
  --host ADDRESS              HOST                   address to listen on; absent: all of them
  --port PORT                 PORT                   HTTPS port for reports, /v1/ice, the console, /metrics, /livez and
                                                     /readyz (${DEFAULT_PORT})
  --serving-secret NAME       SERVING_SECRET         Secret with the operator's certificate and its authority, made when
                                                     absent and renewed (turnfleet-operator-serving)
  --api-keys-secret NAME      API_KEYS_SECRET        Secret with the API keys of /v1/ice, entry ${API_KEYS_ENTRY}: a YAML
                                                     list of {id, hash, clusters, origins, perMinute}; read every 20 s
  --leader-elect              LEADER_ELECT=true      for more than one replica: one works, the others answer /readyz with
                                                     503 and wait. It renews a Lease every 2 s; without it an idle
                                                     operator writes nothing at all
  --lease NAME                LEASE_NAME             name of that Lease (turnfleet-operator)
  --kubeconfig FILE           KUBECONFIG             outside a cluster
  --log-level LEVEL           LOG_LEVEL              ${LOG_LEVELS.join(', ')} (info)
  -h, --help                                         this text

Rights: get, list, watch, create, patch, delete on pods and configmaps; get, create on secrets; get, list, watch on
turnclusters and patch on turnclusters/status; create on events, in each served namespace. get on services, get,
create, patch on secrets and, with --leader-elect, get, create, update on leases in its own. Cluster-wide: get, list,
watch on nodes (with get alone, nodes are asked for one by one), create on tokenreviews and subjectaccessreviews,
list on servicecidrs (without it, relays do not know which addresses are Services).
`

const OPTIONS = {
  'relay-image': 'RELAY_IMAGE',
  'image-pull-policy': 'IMAGE_PULL_POLICY',
  'image-pull-secrets': 'IMAGE_PULL_SECRETS',
  'relay-service-account': 'RELAY_SERVICE_ACCOUNT',
  'watch-namespaces': 'WATCH_NAMESPACES',
  namespace: 'POD_NAMESPACE',
  service: 'OPERATOR_SERVICE',
  'advertise-url': 'ADVERTISE_URL',
  host: 'HOST',
  port: 'PORT',
  'serving-secret': 'SERVING_SECRET',
  'api-keys-secret': 'API_KEYS_SECRET',
  'leader-elect': 'LEADER_ELECT',
  lease: 'LEASE_NAME',
  kubeconfig: 'KUBECONFIG',
  'log-level': 'LOG_LEVEL',
} as const

type OptionName = keyof typeof OPTIONS

/** Reads the command line and the environment; throws an Error with a sentence for the user. */
export function parseOptions(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): OperatorOptions | 'help' {
  const given = readArguments(args)
  if (given === 'help') return 'help'
  const value = (name: OptionName): string | undefined =>
    given[name] ?? (environment[OPTIONS[name]] || undefined)
  const relayImage = value('relay-image')
  if (!relayImage) throw new Error('name the image of the relay pods: --relay-image or RELAY_IMAGE')
  const imagePullPolicy = oneOf('image-pull-policy', PULL_POLICIES, value('image-pull-policy'))
  const optional = {
    kubeconfig: given.kubeconfig,
    namespace: value('namespace'),
    service: value('service'),
    advertiseUrl: httpsUrl(value('advertise-url')),
    imagePullPolicy,
    relayServiceAccount: value('relay-service-account'),
    apiKeysSecret: value('api-keys-secret'),
    host: value('host'),
  }
  return {
    ...withoutUndefined(optional),
    relayImage,
    watchNamespaces: splitList(value('watch-namespaces')),
    imagePullSecrets: splitList(value('image-pull-secrets')),
    servingSecret: value('serving-secret') ?? 'turnfleet-operator-serving',
    leaderElect: isTrue('leader-elect', value('leader-elect')),
    lease: value('lease') ?? 'turnfleet-operator',
    port: portNumber(value('port')),
    logLevel: oneOf('log-level', LOG_LEVELS, value('log-level')) ?? 'info',
  }
}

function readArguments(args: readonly string[]): Partial<Record<OptionName, string>> | 'help' {
  const text = { type: 'string' } as const
  const flags = Object.fromEntries((Object.keys(OPTIONS) as OptionName[]).map((name) => [name, text]))
  const { values } = parseArgs({
    args: args.map((argument) => (argument === '--leader-elect' ? '--leader-elect=true' : argument)),
    options: { ...flags, help: { type: 'boolean', short: 'h' } },
  })
  if (values.help) return 'help'
  return values as Partial<Record<OptionName, string>>
}

function oneOf<T extends string>(
  name: OptionName,
  allowed: readonly T[],
  given: string | undefined,
): T | undefined {
  if (given === undefined) return undefined
  const found = allowed.find((one) => one === given)
  if (!found)
    throw new Error(`--${name} (${OPTIONS[name]}) must be one of ${allowed.join(', ')}, not "${given}"`)
  return found
}

function isTrue(name: OptionName, given: string | undefined): boolean {
  return oneOf(name, ['true', 'false'], given) === 'true'
}

function portNumber(given: string | undefined): number {
  const port = given === undefined ? DEFAULT_PORT : Number(given)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`"${given}" is no port`)
  return port
}

function httpsUrl(given: string | undefined): string | undefined {
  if (given === undefined) return undefined
  if (!URL.canParse(given) || new URL(given).protocol !== 'https:')
    throw new Error(
      `--advertise-url must be an https URL such as https://10.0.0.5:${DEFAULT_PORT}, not "${given}"`,
    )
  return given.replace(/\/+$/, '')
}

function splitList(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function withoutUndefined<T extends object>(record: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const defined = Object.entries(record).filter(([, value]) => value !== undefined)
  return Object.fromEntries(defined) as { [K in keyof T]?: Exclude<T[K], undefined> }
}
