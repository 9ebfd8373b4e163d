import { generateKeyPairSync } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { binaryDirectory } from './binaries.ts'
import { type BinaryName, CONTROL_PLANE_BINARIES } from './binaries-choice.ts'
import { writeKubeconfig } from './kubeconfig.ts'
import { TestAuthority } from './pki.ts'
import { Programs } from './programs.ts'

const READY_WAIT_MS_MAX = 60_000
const READY_POLL_MS = 50
const CLUSTER_NAMES = ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc']

/**
 * The controllers without which objects have no owner, namespace or service account behind them; none of those
 * that would miss the kubelets of nodes that are only played.
 */
export const OBJECT_CONTROLLERS = [
  'garbage-collector-controller',
  'namespace-controller',
  'serviceaccount-controller',
  'root-ca-certificate-publisher-controller',
]

export interface ControlPlaneOptions {
  /** Where the API server listens. */
  bindAddress?: string
  /** Where others reach it; named in every kubeconfig. */
  advertiseAddress?: string
  /** 0: one is chosen, on this network namespace. */
  port?: number
  /** A command that runs the programs elsewhere, such as `['nsenter', '--net=/run/netns/tf-cp']`. */
  wrap?: readonly string[]
  withScheduler?: boolean
  /** Names for `--controllers`; all of them by default. */
  controllers?: readonly string[]
  serviceCidr?: string
  /** Further arguments of kube-apiserver. */
  apiserverArguments?: readonly string[]
  /** Files that are created before the controllers start: the garbage collector looks for new kinds every 30 s only. */
  manifests?: readonly URL[]
  /** Write every request to `audit.log`. */
  audit?: boolean
}

export interface ControlPlane {
  /** Holds `pki/`, `log/`, `audit.log` and kubeconfigs; removed by `stop`. */
  directory: string
  /** Holds the Kubernetes programs, for PATH. */
  binaries: string
  url: string
  authority: TestAuthority
  /** Path of a kubeconfig of group system:masters. */
  adminKubeconfig: string
  /** Writes a kubeconfig with a client certificate for that user, and returns its path. */
  kubeconfigForUser(user: string, group?: string): Promise<string>
  /** Writes a kubeconfig with that bearer token, and returns its path. */
  kubeconfigForToken(name: string, token: string): Promise<string>
  /** `kubectl` as admin; returns what it prints. */
  kubectl(args: readonly string[], input?: string): Promise<string>
  /** Every line of the audit log, where `audit` was asked for. */
  audit(): Promise<unknown[]>
  /** Ends one of the programs, or lets it run again with its data. */
  kill(program: 'etcd' | 'kube-apiserver'): Promise<void>
  restart(program: 'etcd' | 'kube-apiserver'): Promise<void>
  /** Ends every program and removes the directory. */
  stop(): Promise<void>
}

interface Settings extends Required<Omit<ControlPlaneOptions, 'port'>> {
  directory: string
  binaries: string
  ports: { apiserver: number; etcd: number; etcdPeer: number }
}

/** etcd, kube-apiserver, kube-controller-manager and, on request, kube-scheduler, until `stop`. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const names: BinaryName[] = [...CONTROL_PLANE_BINARIES]
  if (options.withScheduler) names.push('kube-scheduler')
  const settings = await settle(options, await binaryDirectory(names))
  const authority = await writePki(settings)
  const programs = new Programs(settings)
  const { advertiseAddress, ports, directory } = settings
  const url = `https://${advertiseAddress.includes(':') ? `[${advertiseAddress}]` : advertiseAddress}:${ports.apiserver}`
  const forUser = async (user: string, group?: string): Promise<string> => {
    const pair = await authority.issue({ commonName: user, ...(group ? { organization: group } : {}) })
    return writeKubeconfig(directory, user, url, authority.pair.cert, pair)
  }
  try {
    const adminKubeconfig = await forUser('admin', 'system:masters')
    await forUser('system:kube-controller-manager')
    await forUser('system:kube-scheduler')
    programs.start('etcd', etcdArguments(settings))
    programs.start('kube-apiserver', apiserverArguments(settings))
    await untilReady(programs, adminKubeconfig)
    for (const file of settings.manifests)
      await programs.run('kubectl', ['--kubeconfig', adminKubeconfig, 'create', '-f', fileURLToPath(file)])
    programs.start('kube-controller-manager', controllerManagerArguments(settings))
    if (settings.withScheduler) programs.start('kube-scheduler', schedulerArguments(settings))
    return {
      directory,
      binaries: settings.binaries,
      url,
      authority,
      adminKubeconfig,
      kubeconfigForUser: forUser,
      kubeconfigForToken: (name, token) =>
        writeKubeconfig(directory, name, url, authority.pair.cert, { token }),
      kubectl: (args, input) => programs.run('kubectl', ['--kubeconfig', adminKubeconfig, ...args], input),
      audit: () => readAudit(directory),
      kill: (program) => programs.kill(program),
      restart: async (program) => {
        await programs.kill(program)
        programs.start(program, program === 'etcd' ? etcdArguments(settings) : apiserverArguments(settings))
        await untilReady(programs, adminKubeconfig)
      },
      stop: () => stop(programs, directory),
    }
  } catch (error) {
    const logs = await programs.logs()
    await stop(programs, directory)
    throw new Error(`the control plane did not start: ${(error as Error).message}\n${logs}`)
  }
}

async function readAudit(directory: string): Promise<unknown[]> {
  const lines = (await readFile(join(directory, 'audit.log'), 'utf8')).split('\n')
  // The last line may be half written.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as unknown)
}

async function stop(programs: Programs, directory: string): Promise<void> {
  await programs.stop()
  await rm(directory, { recursive: true, force: true })
}

async function settle(options: ControlPlaneOptions, binaries: string): Promise<Settings> {
  const directory = await mkdtemp(join(tmpdir(), 'turnfleet-cluster-'))
  for (const name of ['pki', 'log', 'etcd']) await mkdir(join(directory, name))
  const [first, etcd, etcdPeer] = await freePorts(3)
  return {
    bindAddress: options.bindAddress ?? '127.0.0.1',
    advertiseAddress: options.advertiseAddress ?? options.bindAddress ?? '127.0.0.1',
    wrap: options.wrap ?? [],
    withScheduler: options.withScheduler ?? false,
    controllers: options.controllers ?? ['*'],
    serviceCidr: options.serviceCidr ?? '10.96.0.0/16',
    apiserverArguments: options.apiserverArguments ?? [],
    audit: options.audit ?? false,
    manifests: options.manifests ?? [],
    directory,
    binaries,
    ports: { apiserver: options.port || first!, etcd: etcd!, etcdPeer: etcdPeer! },
  }
}

async function writePki({ directory, advertiseAddress, serviceCidr }: Settings): Promise<TestAuthority> {
  const authority = await TestAuthority.make()
  const pki = (name: string): string => join(directory, 'pki', name)
  const addresses = [...new Set(['127.0.0.1', advertiseAddress, firstAddress(serviceCidr)])]
  const names = [
    ...CLUSTER_NAMES.map((value) => ({ type: 'dns' as const, value })),
    ...addresses.map((value) => ({ type: 'ip' as const, value })),
  ]
  const apiserver = await authority.issue({ commonName: 'kube-apiserver', names })
  const kubelet = await authority.issue({
    commonName: 'apiserver-kubelet-client',
    organization: 'system:masters',
  })
  const account = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const files: Record<string, string> = {
    'ca.crt': authority.pair.cert,
    'ca.key': authority.pair.key,
    'apiserver.crt': apiserver.cert,
    'apiserver.key': apiserver.key,
    'kubelet-client.crt': kubelet.cert,
    'kubelet-client.key': kubelet.key,
    'sa.key': account.privateKey.export({ type: 'sec1', format: 'pem' }).toString(),
    'sa.pub': account.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  }
  for (const [name, content] of Object.entries(files)) await writeFile(pki(name), content, { mode: 0o600 })
  const policy = {
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived'],
    rules: [{ level: 'Request', resources: [{ group: 'turnfleet.dev' }] }, { level: 'Metadata' }],
  }
  await writeFile(join(directory, 'audit-policy.json'), JSON.stringify(policy))
  return authority
}

function etcdArguments({ directory, ports }: Settings): string[] {
  const client = `http://127.0.0.1:${ports.etcd}`
  const peer = `http://127.0.0.1:${ports.etcdPeer}`
  return [
    `--data-dir=${join(directory, 'etcd')}`,
    '--unsafe-no-fsync',
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    '--log-level=warn',
  ]
}

function apiserverArguments(settings: Settings): string[] {
  const { directory, ports, advertiseAddress } = settings
  const pki = (name: string): string => join(directory, 'pki', name)
  const loopback = advertiseAddress.startsWith('127.') || advertiseAddress === '::1'
  return [
    `--etcd-servers=http://127.0.0.1:${ports.etcd}`,
    `--bind-address=${settings.bindAddress}`,
    `--secure-port=${ports.apiserver}`,
    `--advertise-address=${advertiseAddress}`,
    ...(loopback ? ['--endpoint-reconciler-type=none'] : []),
    `--tls-cert-file=${pki('apiserver.crt')}`,
    `--tls-private-key-file=${pki('apiserver.key')}`,
    `--client-ca-file=${pki('ca.crt')}`,
    `--kubelet-client-certificate=${pki('kubelet-client.crt')}`,
    `--kubelet-client-key=${pki('kubelet-client.key')}`,
    '--kubelet-preferred-address-types=InternalIP',
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    `--service-cluster-ip-range=${settings.serviceCidr}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${pki('sa.pub')}`,
    `--service-account-signing-key-file=${pki('sa.key')}`,
    ...(settings.audit
      ? [
          `--audit-policy-file=${join(directory, 'audit-policy.json')}`,
          `--audit-log-path=${join(directory, 'audit.log')}`,
        ]
      : []),
    ...settings.apiserverArguments,
  ]
}

function controllerManagerArguments({ directory, controllers }: Settings): string[] {
  const pki = (name: string): string => join(directory, 'pki', name)
  return [
    `--kubeconfig=${join(directory, 'system:kube-controller-manager.conf')}`,
    '--leader-elect=false',
    '--use-service-account-credentials',
    `--service-account-private-key-file=${pki('sa.key')}`,
    `--root-ca-file=${pki('ca.crt')}`,
    `--cluster-signing-cert-file=${pki('ca.crt')}`,
    `--cluster-signing-key-file=${pki('ca.key')}`,
    `--controllers=${controllers.join(',')}`,
    '--secure-port=0',
  ]
}

function schedulerArguments({ directory }: Settings): string[] {
  const kubeconfig = join(directory, 'system:kube-scheduler.conf')
  return [`--kubeconfig=${kubeconfig}`, '--leader-elect=false', '--secure-port=0']
}

async function untilReady(programs: Programs, kubeconfig: string): Promise<void> {
  const until = Date.now() + READY_WAIT_MS_MAX
  for (;;) {
    programs.throwIfEnded()
    const answer = await programs
      .run('kubectl', ['--kubeconfig', kubeconfig, 'get', '--raw', '/readyz'])
      .catch(() => '')
    if (answer === 'ok') return
    if (Date.now() > until) throw new Error(`/readyz was not ok within ${READY_WAIT_MS_MAX / 1000} s`)
    await wait(READY_POLL_MS)
  }
}

/** The address that the API server takes for its own Service. */
function firstAddress(cidr: string): string {
  const [network = ''] = cidr.split('/')
  return network.includes(':') ? `${network}1` : network.replace(/\.\d+$/, '.1')
}

/** Ports that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  for (const server of servers) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  for (const server of servers) await new Promise((resolve) => server.close(resolve))
  return ports
}
