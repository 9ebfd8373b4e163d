/** Where each Kubernetes program comes from: a pure decision over what this machine has. */

export const KUBERNETES_VERSION = '1.34.2'
export const ETCD_VERSION = '3.6.5'
export const HELM_VERSION = '3.19.0'
const GO_MINOR_MIN = 24

const KUBERNETES_COMMANDS = [
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'kubectl',
] as const

export const BINARY_NAMES = [...KUBERNETES_COMMANDS, 'etcd', 'helm'] as const
export type BinaryName = (typeof BINARY_NAMES)[number]

/** What integration tests need. */
export const CONTROL_PLANE_BINARIES: readonly BinaryName[] = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kubectl',
]

export interface Machine {
  /** `linux`, `darwin`, … and `amd64`, `arm64`, …, in Go's words. */
  os: string
  architecture: string
  /** Programs found in `KUBEBUILDER_ASSETS`. */
  assets: ReadonlySet<string>
  /** Programs found in the cache. */
  cached: ReadonlySet<string>
  /** Output of `go version`, undefined where there is no Go. */
  goVersion: string | undefined
}

export interface Choice {
  fromAssets: BinaryName[]
  fromCache: BinaryName[]
  /** Neither in the assets nor in the cache. */
  missing: BinaryName[]
  /** How to get the missing ones, in the order of trying. */
  ways: ('build' | 'download')[]
}

export function isBinaryName(name: string): name is BinaryName {
  return (BINARY_NAMES as readonly string[]).includes(name)
}

export function isKubernetesCommand(name: BinaryName): boolean {
  return (KUBERNETES_COMMANDS as readonly string[]).includes(name)
}

/** Assets first, then the cache; what is missing is built where Go is new enough, else downloaded. */
export function chooseSources(names: readonly BinaryName[], machine: Machine): Choice {
  const choice: Choice = { fromAssets: [], fromCache: [], missing: [], ways: [] }
  for (const name of names) {
    if (machine.assets.has(name)) choice.fromAssets.push(name)
    else if (machine.cached.has(name)) choice.fromCache.push(name)
    else choice.missing.push(name)
  }
  if (choice.missing.length === 0) return choice
  if (goIsNewEnough(machine.goVersion)) choice.ways.push('build')
  if (choice.missing.every((name) => isPublished(name, machine))) choice.ways.push('download')
  return choice
}

/** The one sentence for a machine on which nothing worked. */
export function missingSentence(missing: readonly string[], failures: readonly string[]): string {
  const tried = failures.length === 0 ? '' : ` (tried: ${failures.join('; ')})`
  return (
    `The tests need ${missing.join(', ')} of Kubernetes ${KUBERNETES_VERSION}${tried}: ` +
    `install Go 1.${GO_MINOR_MIN} or newer from https://go.dev/dl so that they can be built, ` +
    'or set KUBEBUILDER_ASSETS to a directory that holds them.'
  )
}

function goIsNewEnough(version: string | undefined): boolean {
  const found = version && /go1\.(\d+)/.exec(version)
  return found ? Number(found[1]) >= GO_MINOR_MIN : false
}

/** The servers are published for Linux only, kube-apiserver and etcd by envtest also for macOS. */
function isPublished(name: BinaryName, { os, architecture }: Machine): boolean {
  if (architecture !== 'amd64' && architecture !== 'arm64') return false
  const everywhere = ['etcd', 'kube-apiserver', 'kubectl', 'helm']
  return os === 'linux' || (os === 'darwin' && everywhere.includes(name))
}
