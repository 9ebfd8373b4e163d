import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Browser } from 'playwright-core'
import { background, command, until } from '../cluster/command.ts'
import { droppedPackets } from '../cluster/network.ts'
import { bothConnected, type Caller, chat, joinRoom, launchBrowser } from './browser.ts'
import {
  addressesOf,
  applyAndWait,
  dump,
  IceEndpoint,
  NAMESPACE,
  OPERATOR_NAMESPACE,
  refusalsOf,
  relayPods,
  residentMiB,
  statusOf,
  turnCluster,
  untilRelays,
  writesOf,
} from './fleet.ts'
import { Load } from './load.ts'
import { startWebApp } from './web-app.ts'
import { createWorld, OPEN_HOST, WEB_ADDRESS, type World } from './world.ts'

/**
 * The main job from end to end: turnfleet installed by Helm on real nodes, and people behind NATs and a firewall
 * who talk through its relays. The tests are steps of one story and run in their order.
 */

const CHART = fileURLToPath(new URL('../../charts/turnfleet', import.meta.url))
const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url))
const OPERATOR = 'turnfleet'
const READY_MS_MAX = 20_000
const CONNECTED_MS_MAX = 5_000
const CALL_SECONDS = 60
const WITHDRAWN_MS_MAX = 5_000
const IDLE_SECONDS = 300
const RELAY_MIB_MAX = 90
const OPERATOR_MIB_MAX = 150
/** Chromium gives up checking candidates after some 15 s. */
const FAILED_MS_MAX = 40_000

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

let world: World
let office: Browser
let home: Browser
let webUrl: string
let udpOnlyUrl: string
let ice: IceEndpoint
let failed = false

describe('turnfleet on Kubernetes', { concurrency: false }, () => {
  before(async () => {
    const startedAt = performance.now()
    world = await createWorld()
    figure('cluster of three nodes up', performance.now() - startedAt)
  })

  after(async () => {
    if (failed) console.log(await dump(world))
    await Promise.all([office?.close(), home?.close()])
  })

  step('both NATs are symmetric and the firewall stops UDP', async () => {
    const [first, second] = OPEN_HOST.addresses
    const log = join(world.plane.directory, 'log/turnserver.log')
    const args = ['-n', '-L', first, '-L', second, '--no-cli', '--log-file', 'stdout', '--lt-cred-mech']
    const server = background('turnserver', args, { log, netns: 'tf-open' })
    try {
      await until('the RFC 5780 server listens', async () =>
        (await inNamespace('tf-open', ['ss', '-lun'])).includes(`${second}:3479`),
      )
      const ask = (own: string) => ['turnutils_natdiscovery', '-m', '-f', '-L', own, '-l', '40001', first]
      const before = await droppedPackets(world.office.router)
      const [answer] = await Promise.all([
        inNamespace(world.home.client, ask('10.2.0.2')),
        inNamespace(world.office.client, ['timeout', '2', ...ask('10.1.0.2')]),
      ])
      assert.match(answer, /NAT with Address and Port Dependent Mapping!/)
      assert.match(answer, /NAT with Address and Port Dependent Filtering!/)
      assert.ok((await droppedPackets(world.office.router)).udp > before.udp, 'the firewall let UDP through')
    } finally {
      await server.stop()
    }
  })

  const apiKey = `tfk_${randomBytes(32).toString('hex')}`

  step('helm install from the checkout brings up the operator', async () => {
    const { plane, images, helm } = world
    await plane.kubectl(['create', 'namespace', OPERATOR_NAMESPACE])
    await plane.kubectl([
      'label',
      'namespace',
      OPERATOR_NAMESPACE,
      'pod-security.kubernetes.io/enforce=restricted',
    ])
    await plane.kubectl(['create', 'namespace', NAMESPACE])
    await plane.kubectl(['label', 'namespace', NAMESPACE, 'pod-security.kubernetes.io/enforce=privileged'])
    const hash = createHash('sha256').update(apiKey).digest('hex')
    const values = {
      image: imageValue(images.operator),
      relay: { image: imageValue(images.relay) },
      apiKeys: { keys: [{ id: 'video-call', hash, perMinute: 6000 }] },
    }
    const path = join(plane.directory, 'values.json')
    await writeFile(path, JSON.stringify(values))
    const startedAt = performance.now()
    await helm('install', OPERATOR, CHART, '-n', OPERATOR_NAMESPACE, '-f', path, '--wait', '--timeout', '60s')
    figure('helm install to operator available', performance.now() - startedAt)
    for (const example of ['minimal', 'tls-443', 'local']) {
      await plane.kubectl(['apply', '--dry-run=server', '-f', join(EXAMPLES, `${example}.yaml`)])
    }
    const serviceIp = await plane.kubectl([
      'get',
      'service',
      '-n',
      OPERATOR_NAMESPACE,
      OPERATOR,
      '-o',
      'jsonpath={.spec.clusterIP}',
    ])
    const secret = await plane.kubectl([
      'get',
      'secret',
      '-n',
      OPERATOR_NAMESPACE,
      `${OPERATOR}-serving`,
      '-o',
      'jsonpath={.data.ca\\.crt}',
    ])
    const authority = Buffer.from(secret, 'base64').toString()
    await writeFile(join(plane.directory, 'operator-ca.pem'), authority)
    ice = new IceEndpoint(`https://${serviceIp}`, authority, apiKey)
  })

  step('a minimal TurnCluster becomes Ready', async () => {
    const ms = await applyAndWait(world, turnCluster('minimal', {}))
    figure('kubectl apply to Ready, minimal', ms)
    console.log(await world.plane.kubectl(['get', 'turnclusters', '-A']))
    assert.ok(ms <= READY_MS_MAX, `took ${ms} ms`)
    assert.equal(addressesOf(await ice.ask('minimal')).length, 2)
    await world.plane.kubectl(['delete', '-n', NAMESPACE, 'turncluster/minimal'])
    await until('its relays are gone', async () => (await relayPods(world, 'minimal')).length === 0, {
      timeoutMs: 60_000,
    })
  })

  step('a TurnCluster with TLS on 443 becomes Ready', async () => {
    const { plane, nodes } = world
    const addresses = [WEB_ADDRESS, ...nodes.map(({ address }) => address)]
    const { cert, key } = await plane.authority.issue({
      commonName: 'turn.example.org',
      names: addresses.map((value) => ({ type: 'ip', value })),
    })
    await writeFile(join(plane.directory, 'tls.crt'), cert)
    await writeFile(join(plane.directory, 'tls.key'), key, { mode: 0o600 })
    const files = [`--cert=${plane.directory}/tls.crt`, `--key=${plane.directory}/tls.key`]
    await plane.kubectl(['create', 'secret', 'tls', 'turn-tls', '-n', NAMESPACE, ...files])
    const ms = await applyAndWait(world, turnCluster('public', FLEET))
    figure('kubectl apply to Ready, TLS on 443', ms)
    assert.ok(ms <= READY_MS_MAX, `took ${ms} ms`)
    await applyAndWait(world, turnCluster('udp-only', UDP_ONLY))
    const { iceServers } = await ice.ask('public')
    const urls = iceServers.flatMap((server) => server.urls)
    console.log(urls.join('\n'))
    for (const form of [
      /^turn:.*:443\?transport=tcp$/,
      /^turns:.*:443\?transport=tcp$/,
      /^turn:.*:3478\?transport=udp$/,
    ]) {
      assert.ok(
        urls.some((url) => form.test(url)),
        `no URL of the form ${form}`,
      )
    }
    for (const size of await residentMiB('/app/relay/main.ts')) {
      figure('relay at rest, MiB', size)
      assert.ok(size <= RELAY_MIB_MAX)
    }
  })

  step('without relays, with UDP only and with a wrong credential no call comes about', async () => {
    const { plane } = world
    const common = {
      turnfleetUrl: ice.url,
      apiKey,
      operatorCaFile: join(plane.directory, 'operator-ca.pem'),
      certFile: join(plane.directory, 'tls.crt'),
      keyFile: join(plane.directory, 'tls.key'),
      directory: join(plane.directory, 'log'),
    }
    webUrl = (await startWebApp({ ...common, port: 443, cluster: `${NAMESPACE}/public` })).url
    // The firewall lets out 80 and 443 only.
    udpOnlyUrl = (await startWebApp({ ...common, port: 80, cluster: `${NAMESPACE}/udp-only` })).url
    await launchBoth()
    const wrong = (caller: Parameters<typeof spoilCredential>[0]) => spoilCredential(caller)
    const attempts = await Promise.all([
      bothJoin(`${webUrl}?relays=off`, 'no-relays'),
      bothJoin(udpOnlyUrl, 'udp-only'),
      bothJoin(webUrl, 'wrong-credential', wrong),
    ])
    const [withoutRelays, udpOnly, wrongCredential] = attempts
    const startedAt = performance.now()
    await Promise.all(
      [...withoutRelays, ...wrongCredential].map((caller) => caller.state('failed', FAILED_MS_MAX)),
    )
    figure('calls without relays and with a wrong credential have failed', performance.now() - startedAt)
    assert.match(await wrongCredential[0].log(), /401/)
    // Chromium waits 40 s for an answer to UDP before it gives up; one that works is connected in a tenth of that.
    for (const caller of udpOnly) {
      const { state, localType } = await caller.figures()
      assert.match(state, /^(connecting|failed)$/)
      assert.equal(localType, '')
    }
    await Promise.all(attempts.flat().map((caller) => caller.leave()))
    await Promise.all([office.close(), home.close()])
    await plane.kubectl(['delete', '-n', NAMESPACE, 'turncluster/udp-only', '--wait=false'])
  })

  step('a video call through the firewall, with the operator away for a minute', async () => {
    const { plane } = world
    const startedAt = performance.now()
    await launchBoth()
    const [inOffice, atHome] = await bothJoin(webUrl, 'meeting')
    await bothConnected([inOffice, atHome], 15_000)
    const connectedMs = performance.now() - startedAt
    figure('browser start to connected', connectedMs)
    await chat(inOffice, atHome, 'hello from the office')
    await chat(atHome, inOffice, 'hello from home')
    assert.ok(connectedMs <= CONNECTED_MS_MAX, `took ${connectedMs} ms`)

    const relays = await relayPods(world, 'public')
    await plane.kubectl(['scale', '-n', OPERATOR_NAMESPACE, `deployment/${OPERATOR}`, '--replicas=0'])
    await command('pkill', ['-KILL', '-f', '/app/operator/main.ts'])
    await flowsBothWays(inOffice, atHome, CALL_SECONDS)
    const pair = await inOffice.figures()
    console.log(pair)
    assert.equal(pair.state, 'connected')
    assert.equal(pair.localType, 'relay')
    assert.equal(pair.relayProtocol, 'tls')
    assert.match(pair.url, /^turns:.*:443\?transport=tcp$/)
    await chat(atHome, inOffice, 'still here')
    await plane.kubectl(['scale', '-n', OPERATOR_NAMESPACE, `deployment/${OPERATOR}`, '--replicas=1'])
    await plane.kubectl([
      'rollout',
      'status',
      '-n',
      OPERATOR_NAMESPACE,
      `deployment/${OPERATOR}`,
      '--timeout=60s',
    ])
    await until('/v1/ice answers again', () => ice.ask('public'))
    await flowsBothWays(inOffice, atHome, 10)
    assert.deepEqual(await relayPods(world, 'public'), relays)
    await Promise.all([inOffice.leave(), atHome.leave()])
    await Promise.all([office.close(), home.close()])
  })

  step('a relay that is killed leaves /v1/ice at once and is replaced', async () => {
    await untilRelays(world, 'public', 2, 60_000)
    const [victim] = await relayPods(world, 'public')
    const address = world.nodes.find(({ name }) => name === victim!.node)!.address
    assert.ok(addressesOf(await ice.ask('public')).includes(address))
    const startedAt = performance.now()
    const deleting = world.plane.kubectl([
      'delete',
      '-n',
      NAMESPACE,
      `pod/${victim!.name}`,
      '--grace-period=0',
      '--force',
      '--wait=false',
    ])
    await until(
      'its address is not handed out any more',
      async () => !addressesOf(await ice.ask('public')).includes(address),
      { everyMs: 50 },
    )
    const ms = performance.now() - startedAt
    figure('relay killed to address gone from /v1/ice', ms)
    assert.ok(ms <= WITHDRAWN_MS_MAX, `took ${ms} ms`)
    await deleting
    await untilRelays(world, 'public', 2, 90_000)
    figure('relay killed to fleet whole again', performance.now() - startedAt)
  })

  step('load makes the fleet grow, its end makes it shrink, and no allocation is lost', async (t) => {
    const load = new Load('tf-open', OPEN_HOST.addresses[1], join(world.plane.directory, 'log/load.log'))
    t.after(() => load.stop())
    const open = async (address: string, count: number) => {
      const [server] = (await ice.ask('public')).iceServers
      const { username, credential } = server!
      return load.order({ do: 'open', address: `${address}:3478`, username, credential, count })
    }
    for (const address of addressesOf(await ice.ask('public'))) {
      const { refusals } = await open(address, 40)
      assert.deepEqual(refusals, [])
    }
    const startedAt = performance.now()
    await untilRelays(world, 'public', 3, 60_000)
    figure('load to a third relay Ready', performance.now() - startedAt)
    console.log((await statusOf(world, 'public')).autoscaling)
    const published = await until('the third relay is handed out', async () => {
      const relays = (await statusOf(world, 'public')).relays ?? []
      return relays.length === 3 && relays.map(({ address }) => address!)
    })
    for (const address of published) await open(address, 2)

    // Each relay keeps two allocations, so that whichever goes has some to wait for.
    for (const address of published) await load.order({ do: 'close', relay: address, keep: 2 })
    const quietAt = performance.now()
    const victim = await until(
      'a relay drains',
      async () => (await statusOf(world, 'public')).relays?.find(({ state }) => state === 'Draining'),
      { timeoutMs: 90_000, everyMs: 250 },
    )
    figure('end of load to a relay that drains', performance.now() - quietAt)
    await refusesNewOnes(open, victim.address!)
    assert.ok(!addressesOf(await ice.ask('public')).includes(victim.address!), 'it is handed out still')
    const held = (await load.order({ do: 'report' })).byRelay[victim.address!]
    assert.ok(held)
    await wait(15_000)
    const during = await load.order({ do: 'report' })
    assert.deepEqual(during.lost, [])
    assert.equal(during.byRelay[victim.address!], held)
    assert.ok((await relayPods(world, 'public')).some(({ name, going }) => name === victim.name && !going))

    const emptyAt = performance.now()
    await load.order({ do: 'close', relay: victim.address!, keep: 0 })
    await until('the drained relay is deleted', async () => {
      return !(await relayPods(world, 'public')).some(({ name }) => name === victim.name)
    })
    figure('last allocation closed to relay deleted', performance.now() - emptyAt)
    const finally_ = await load.order({ do: 'report' })
    assert.deepEqual(finally_.lost, [])
    await load.order({ do: 'close', keep: 0 })
    await untilRelays(world, 'public', 2, 60_000)
  })

  step('an idle operator writes nothing', async () => {
    // The load figures of the status follow the last allocations.
    await wait(15_000)
    const since = Date.now()
    await wait(IDLE_SECONDS * 1000)
    const writes = await writesOf(world, OPERATOR, since)
    figure(`writes in ${IDLE_SECONDS} idle seconds`, writes.length)
    assert.deepEqual(writes, [])
    assert.deepEqual(await refusalsOf(world, OPERATOR), [])
    for (const size of await residentMiB('/app/relay/main.ts')) figure('relay after the load, MiB', size)
    for (const size of await residentMiB('/app/operator/main.ts')) {
      figure('operator, MiB', size)
      assert.ok(size <= OPERATOR_MIB_MAX)
    }
  })
})

/** A test without which the later ones make no sense: they are skipped when it fails. */
function step(name: string, body: (t: TestContext) => Promise<void>): void {
  test(name, async (t) => {
    assert.ok(!failed, 'an earlier step has failed')
    try {
      await body(t)
    } catch (error) {
      failed = true
      throw error
    }
  })
}

function figure(what: string, value: number): void {
  const shown = /MiB|writes/.test(what) ? String(value) : `${(value / 1000).toFixed(2)} s`
  console.log(`figure: ${what}: ${shown}`)
}

function imageValue(reference: string): { repository: string; tag: string } {
  const colon = reference.lastIndexOf(':')
  return { repository: reference.slice(0, colon), tag: reference.slice(colon + 1) }
}

/** What a command prints in a namespace, however it ends. */
async function inNamespace(netns: string, line: string[]): Promise<string> {
  return command('nsenter', [`--net=/run/netns/${netns}`, ...line]).catch((error: { stdout?: string }) =>
    String(error.stdout ?? ''),
  )
}

async function launchBoth(): Promise<void> {
  const { plane, caFile } = world
  ;[office, home] = await Promise.all([
    launchBrowser(plane.directory, world.office.client, caFile),
    launchBrowser(plane.directory, world.home.client, caFile),
  ])
}

async function bothJoin(
  url: string,
  room: string,
  prepare?: Parameters<typeof joinRoom>[3],
): Promise<[Caller, Caller]> {
  return Promise.all([joinRoom(office, url, room, prepare), joinRoom(home, url, room, prepare)])
}

/** Changes the credential on its way from the server to the page. */
async function spoilCredential(page: Caller['page']): Promise<void> {
  await page.routeWebSocket('**/signalling', (socket) => {
    const server = socket.connectToServer()
    server.onMessage((message) =>
      socket.send(String(message).replace(/"credential":"..../g, '"credential":"AAAA')),
    )
  })
}

/** Both sides must send and receive in each quarter of the time, and see each other's video move. */
async function flowsBothWays(one: Caller, two: Caller, seconds: number): Promise<void> {
  let before = await Promise.all([one.figures(), two.figures()])
  for (let part = 0; part < 4; part++) {
    await wait((seconds * 1000) / 4)
    const now = await Promise.all([one.figures(), two.figures()])
    now.forEach((side, i) => {
      const earlier = before[i]!
      assert.equal(side.state, 'connected')
      assert.ok(side.bytesSent > earlier.bytesSent, 'nothing was sent')
      assert.ok(side.bytesReceived > earlier.bytesReceived, 'nothing was received')
      assert.ok(side.videoSeconds > earlier.videoSeconds, 'the picture stands still')
    })
    before = now
  }
}

/** Once it says that it drains, a relay refuses every new allocation. */
async function refusesNewOnes(
  open: (address: string, count: number) => Promise<{ refusals: { code: number; step: string }[] }>,
  address: string,
): Promise<void> {
  const { refusals } = await until('the draining relay refuses', async () => {
    const answer = await open(address, 1)
    return answer.refusals.length === 1 && answer
  })
  console.log('a draining relay answers', refusals)
  assert.equal(refusals[0]!.step, 'allocate')
}
