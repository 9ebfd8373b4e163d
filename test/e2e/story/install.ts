import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from '../../cluster/command.ts'
import {
  addressesOf,
  applyAndWait,
  NAMESPACE,
  OPERATOR,
  OPERATOR_NAMESPACE,
  relayPods,
  residentMiB,
  turnCluster,
} from '../fleet.ts'
import { WEB_ADDRESS } from '../world.ts'
import { figure, type Story } from './story.ts'

const CHART = fileURLToPath(new URL('../../../charts/turnfleet', import.meta.url))
const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url))
const READY_MS_MAX = 20_000
/** An event loop for each core of the machine, 30 MiB at most each. */
const RELAY_MIB_MAX = 90 + 30 * availableParallelism()

/** What the fleet of the story is: small relays, so that a modest load fills them. */
const FLEET = {
  tls: { secretName: 'turn-tls' },
  limits: { allocationsPerRelay: 60, allocationsPerUser: 1000 },
  autoscaling: {
    enabled: true,
    minReplicas: 2,
    maxReplicas: 3,
    targetUtilization: 60,
    buffer: { allocations: 10 },
    scaleDownStabilization: '20s',
  },
}
const UDP_ONLY = {
  replicas: 1,
  listeners: [{ name: 'udp', protocol: 'UDP', port: 3479 }],
  network: { relayPorts: { min: 40_000, max: 44_999 } },
}

/** `helm install` from the checkout, where Pod Security admits nothing but restricted pods. */
export async function install(story: Story): Promise<void> {
  const { plane, images, helm, kube } = story.world
  await kube(`create namespace ${OPERATOR_NAMESPACE}`)
  await kube(`label namespace ${OPERATOR_NAMESPACE} pod-security.kubernetes.io/enforce=restricted`)
  await kube(`create namespace ${NAMESPACE}`)
  await kube(`label namespace ${NAMESPACE} pod-security.kubernetes.io/enforce=privileged`)
  const hash = createHash('sha256').update(story.apiKey).digest('hex')
  const path = join(plane.directory, 'values.json')
  const values = {
    image: imageValue(images.operator),
    relay: { image: imageValue(images.relay) },
    apiKeys: { keys: [{ id: 'video-call', hash, perMinute: 6000 }] },
  }
  await writeFile(path, JSON.stringify(values))
  const startedAt = performance.now()
  await helm('install', OPERATOR, CHART, '-n', OPERATOR_NAMESPACE, '-f', path, '--wait', '--timeout', '60s')
  figure('helm install to operator available', performance.now() - startedAt)
  for (const example of ['minimal', 'tls-443', 'local']) {
    await kube(`apply --dry-run=server -f ${join(EXAMPLES, example)}.yaml`)
  }
  const get = `get -n ${OPERATOR_NAMESPACE}`
  const address = await kube(`${get} service ${OPERATOR} -o jsonpath={.spec.clusterIP}`)
  const encoded = await kube(`${get} secret ${OPERATOR}-serving -o jsonpath={.data.ca\\.crt}`)
  const authority = Buffer.from(encoded, 'base64').toString()
  await writeFile(join(plane.directory, 'operator-ca.pem'), authority)
  story.installed(address, authority)
}

/** A TurnCluster that names nothing but its realm. */
export async function applyMinimal({ world, ice }: Story): Promise<void> {
  const ms = await applyAndWait(world, turnCluster('minimal', {}))
  figure('kubectl apply to Ready, minimal', ms)
  console.log(await world.kube('get turnclusters -A'))
  assert.ok(ms <= READY_MS_MAX, `took ${ms} ms`)
  assert.equal(addressesOf(await ice.ask('minimal')).length, 2)
  await world.kube(`delete -n ${NAMESPACE} turncluster/minimal`)
  await until('its relays are gone', async () => (await relayPods(world, 'minimal')).length === 0, {
    timeoutMs: 60_000,
  })
}

/** The fleet of the later steps, with TLS on 443, and a second one that knows UDP only. */
export async function applyFleet({ world, ice }: Story): Promise<void> {
  const { plane, nodes, kube } = world
  const addresses = [WEB_ADDRESS, ...nodes.map(({ address }) => address)]
  const { cert, key } = await plane.authority.issue({
    commonName: 'turn.example.org',
    names: addresses.map((value) => ({ type: 'ip', value })),
  })
  const [certFile, keyFile] = [join(plane.directory, 'tls.crt'), join(plane.directory, 'tls.key')]
  await writeFile(certFile, cert)
  await writeFile(keyFile, key, { mode: 0o600 })
  await kube(`create secret tls turn-tls -n ${NAMESPACE} --cert=${certFile} --key=${keyFile}`)
  const ms = await applyAndWait(world, turnCluster('public', FLEET))
  figure('kubectl apply to Ready, TLS on 443', ms)
  assert.ok(ms <= READY_MS_MAX, `took ${ms} ms`)
  await applyAndWait(world, turnCluster('udp-only', UDP_ONLY))
  const urls = (await ice.ask('public')).iceServers.flatMap((server) => server.urls).join('\n')
  console.log(urls)
  assert.match(urls, /^turn:.*:3478\?transport=udp$/m)
  assert.match(urls, /^turn:.*:443\?transport=tcp$/m)
  assert.match(urls, /^turns:.*:443\?transport=tcp$/m)
  for (const size of await relaysAtRest()) figure('relay at rest', size, 'MiB')
}

/** What a start takes beyond that, such as what V8's compilers had, a relay gives back within some seconds. */
function relaysAtRest(): Promise<number[]> {
  return until(`every relay takes ${RELAY_MIB_MAX} MiB at most`, async () => {
    const sizes = await residentMiB('/app/relay/main.ts')
    const most = Math.max(...sizes)
    if (most > RELAY_MIB_MAX) throw new Error(`one takes ${most} MiB`)
    return sizes
  })
}

function imageValue(reference: string): { repository: string; tag: string } {
  const colon = reference.lastIndexOf(':')
  return { repository: reference.slice(0, colon), tag: reference.slice(colon + 1) }
}
