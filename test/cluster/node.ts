import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { stringify } from 'yaml'
import { binaryDirectory } from './binaries.ts'
import { background, command, shell, until } from './command.ts'
import type { ControlPlane } from './control-plane.ts'
import { addHost } from './network.ts'

/** A real Kubernetes node (containerd, kubelet, kube-proxy) in a network namespace of its own. */
export interface RealNode {
  readonly name: string
  readonly address: string
  readonly directory: string
}

/** What every node runs of Kubernetes, beside the control plane's own programs. */
export const NODE_BINARIES = ['kubelet', 'kube-proxy'] as const

/** Pod networks of the nodes: 10.244.<last byte of the node's address>.0/24. */
const POD_CIDR = '10.244.0.0/16'
const SERVICE_CIDR = '10.96.0.0/16'
const CGROUPS = '/sys/fs/cgroup'
/** On cgroup v1; where one is missing the kernel has not got it. */
const CONTROLLERS = 'cpu cpuacct cpuset memory devices freezer blkio pids systemd hugetlb perf_event net_cls'

/**
 * Starts a node whose InternalIP and ExternalIP are `address`, with images loaded from archives. It ends with
 * the PID namespace of this process.
 */
export async function startNode(
  plane: ControlPlane,
  { name, address, images }: { name: string; address: string; images: string[] },
): Promise<RealNode> {
  const directory = join(plane.directory, 'nodes', name)
  for (const part of ['run', 'pki', 'cni', 'log', 'plugins']) {
    await mkdir(join(directory, part), { recursive: true })
  }
  const netns = await addHost(name, address)
  await shell(`nsenter --net=/run/netns/${netns} sysctl -qw net.ipv4.ip_forward=1`)
  const cgroup = `${basename(plane.directory)}/${name}`
  await prepareCgroup(cgroup)
  await writeConfiguration(plane, { directory, name, address, cgroup })

  const binaries = await binaryDirectory(NODE_BINARIES)
  const start = (program: string, args: string[]) =>
    background(program, args, { netns, log: join(directory, 'log', `${basename(program)}.log`) })
  const socket = join(directory, 'run/containerd.sock')
  start('containerd', ['--config', join(directory, 'containerd.toml')])
  await until(`containerd of ${name} answers`, () => command('ctr', ['-a', socket, 'version']))
  for (const image of images) {
    await command('ctr', ['-a', socket, '-n', 'k8s.io', 'images', 'import', image])
  }
  start(join(binaries, 'kubelet'), [
    ...['--config', join(directory, 'kubelet.yaml'), '--kubeconfig', join(directory, 'kubeconfig')],
    ...['--hostname-override', name, '--node-ip', address, '--cloud-provider', 'external'],
    ...['--root-dir', join(directory, 'kubelet'), '--cert-dir', join(directory, 'pki')],
  ])
  await announce(plane, name, address)
  start(join(binaries, 'kube-proxy'), ['--config', join(directory, 'proxy.yaml')])
  await plane.kubectl(['wait', '--for=condition=Ready', `node/${name}`, '--timeout=60s'])
  return { name, address, directory }
}

/** Lets every node, and this process's namespace, reach the pods of all nodes and the Services. */
export async function connectPodNetworks(nodes: RealNode[]): Promise<void> {
  for (const node of nodes) {
    await shell(`ip route replace ${podSubnet(node.address)} via ${node.address}`)
    for (const other of nodes) {
      if (other !== node) {
        await shell(`ip -n tf-${node.name} route replace ${podSubnet(other.address)} via ${other.address}`)
      }
    }
  }
  await shell(`ip route replace ${SERVICE_CIDR} via ${nodes[0]!.address}`)
}

/** What a cloud controller would do: sets the addresses and removes the taint of a node not yet initialized. */
async function announce(plane: ControlPlane, name: string, address: string): Promise<void> {
  await until(`node ${name} registers`, () => plane.kubectl(['get', 'node', name]), { timeoutMs: 60_000 })
  const addresses = [
    { type: 'Hostname', address: name },
    { type: 'InternalIP', address },
    { type: 'ExternalIP', address },
  ]
  const patch = JSON.stringify({ status: { addresses } })
  await plane.kubectl(['patch', 'node', name, '--subresource=status', '--type=merge', '-p', patch])
  await plane.kubectl(['taint', 'node', name, 'node.cloudprovider.kubernetes.io/uninitialized-'])
}

interface NodePlace {
  directory: string
  name: string
  address: string
  cgroup: string
}

async function writeConfiguration(plane: ControlPlane, place: NodePlace): Promise<void> {
  const { directory, name, address } = place
  const kubeconfig = await plane.kubeconfigForUser(`system:node:${name}`, 'system:nodes')
  const write = (file: string, content: string) => writeFile(join(directory, file), content)
  await write('kubeconfig', await readFile(kubeconfig, 'utf8'))
  await write('containerd.toml', containerdConfiguration(directory))
  await write('cni/10.conflist', JSON.stringify(cniConfiguration(directory, address)))
  await write('kubelet.yaml', stringify(kubeletConfiguration(plane, place)))
  await write(
    'proxy.yaml',
    stringify({
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      mode: 'nftables',
      clusterCIDR: POD_CIDR,
      hostnameOverride: name,
      conntrack: { maxPerCore: 0 },
      clientConnection: { kubeconfig: plane.adminKubeconfig },
    }),
  )
}

function kubeletConfiguration(plane: ControlPlane, { directory, address, cgroup }: NodePlace): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: join(plane.directory, 'pki/ca.crt') },
    },
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${cgroup}`,
    failSwapOn: false,
    failCgroupV1: false,
    enforceNodeAllocatable: [],
    containerRuntimeEndpoint: `unix://${directory}/run/containerd.sock`,
    address,
    podLogsDir: join(directory, 'log/pods'),
    volumePluginDir: join(directory, 'plugins'),
    evictionHard: { 'nodefs.available': '1Mi', 'imagefs.available': '1Mi', 'memory.available': '50Mi' },
    resolvConf: '/etc/resolv.conf',
  }
}

/** `restrict_oom_score_adj` lets it run where a process may not lower its OOM score. */
function containerdConfiguration(directory: string): string {
  return `version = 2
root = "${directory}/containerd"
state = "${directory}/containerd-state"
[grpc]
  address = "${directory}/run/containerd.sock"
[ttrpc]
  address = "${directory}/run/containerd.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.local/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${directory}/cni"
`
}

function cniConfiguration(directory: string, address: string): object {
  const ipam = {
    type: 'host-local',
    ranges: [[{ subnet: podSubnet(address) }]],
    routes: [{ dst: '0.0.0.0/0' }],
    dataDir: join(directory, 'ipam'),
  }
  return {
    cniVersion: '1.0.0',
    name: 'pods',
    plugins: [{ type: 'bridge', bridge: 'cni0', isGateway: true, ipMasq: true, ipam }],
  }
}

function podSubnet(address: string): string {
  return `10.244.${address.split('.')[3]}.0/24`
}

/** The kubelet wants its cgroup root to exist with every controller; on v1 cpuset starts out empty. */
async function prepareCgroup(path: string): Promise<void> {
  await shell(`
    cd ${CGROUPS}
    if [ -e cgroup.controllers ]; then
      enable() { for c in $(cat "$1/cgroup.controllers"); do echo "+$c" > "$1/cgroup.subtree_control" || true; done; }
      enable .
      mkdir -p ${path}
      enable ${path.split('/')[0]}
      exit 0
    fi
    for c in ${CONTROLLERS}; do
      if [ -d "$c" ]; then mkdir -p "$c/${path}"; fi
    done
    for d in ${path.split('/')[0]} ${path}; do
      for f in cpus mems; do
        cat "cpuset/cpuset.$f" > "cpuset/$d/cpuset.$f"
      done
    done`)
}

/** The last lines of what a node's programs have logged, for a failed test. */
export async function nodeLogs(node: RealNode, lines = 40): Promise<string> {
  const directory = join(node.directory, 'log')
  const parts: string[] = []
  for (const file of (await readdir(directory)).filter((name) => name.endsWith('.log'))) {
    const text = await readFile(join(directory, file), 'utf8')
    parts.push(`--- ${node.name} ${file}`, ...text.trimEnd().split('\n').slice(-lines))
  }
  return parts.join('\n')
}
