import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { binaryDirectory } from '../cluster/binaries.ts'
import { command } from '../cluster/command.ts'
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts'
import type { Images } from '../cluster/images.ts'
import { addHost, addNat, createInternet, type Nat } from '../cluster/network.ts'
import { connectPodNetworks, type RealNode, startNode } from '../cluster/node.ts'

/** Everything that the scenarios share: a cluster of real nodes and two clients behind NATs. */
export interface World {
  plane: ControlPlane
  nodes: RealNode[]
  images: Images
  /** Behind a symmetric NAT and a firewall that lets out TCP 80 and TLS on 443 only. */
  office: Nat
  /** Behind another symmetric NAT. */
  home: Nat
  /** PEM file of the authority that all certificates of the test come from. */
  caFile: string
  helm(...args: string[]): Promise<string>
  /** `kubectl` with words that hold no spaces. */
  kube(line: string): Promise<string>
}

const CONTROL_PLANE = '203.0.113.1'
/** Where the web application answers: the second address of this process's own namespace. */
export const WEB_ADDRESS = '203.0.113.5'
const NODES = [
  { name: 'node1', address: '203.0.113.11' },
  { name: 'node2', address: '203.0.113.12' },
  { name: 'node3', address: '203.0.113.13' },
]
/** A host on the internet with two addresses and without a NAT. */
export const OPEN_HOST = {
  name: 'open',
  netns: 'tf-open',
  addresses: ['203.0.113.50', '203.0.113.51'],
} as const

export async function createWorld(): Promise<World> {
  const built = process.env.TURNFLEET_E2E_IMAGES
  if (!built) throw new Error('start this test by "npm run test:e2e": it needs namespaces of its own')
  const images = JSON.parse(built) as Images
  await createInternet([CONTROL_PLANE, WEB_ADDRESS])
  await addHost(OPEN_HOST.name, OPEN_HOST.addresses[0])
  await command('ip', ['-n', OPEN_HOST.netns, 'addr', 'add', `${OPEN_HOST.addresses[1]}/24`, 'dev', 'wan'])
  const office = await addNat('office', { address: '203.0.113.101', lan: '10.1.0', webOnly: true })
  const home = await addNat('home', { address: '203.0.113.102', lan: '10.2.0', webOnly: false })
  const plane = await startControlPlane({
    bindAddress: '0.0.0.0',
    advertiseAddress: CONTROL_PLANE,
    port: 6443,
    withScheduler: true,
    audit: true,
  })
  const nodes = await Promise.all(NODES.map((node) => startNode(plane, { ...node, images: images.archives })))
  await connectPodNetworks(nodes)
  const caFile = join(plane.directory, 'pki/ca.crt')
  await writeFile(caFile, plane.authority.pair.cert)
  const helmDirectory = await binaryDirectory(['helm'])
  const helm = (...args: string[]) =>
    command(join(helmDirectory, 'helm'), ['--kubeconfig', plane.adminKubeconfig, ...args])
  const kube = (line: string) => plane.kubectl(line.split(' '))
  return { plane, nodes, images, office, home, caFile, helm, kube }
}
