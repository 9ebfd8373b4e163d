import assert from 'node:assert/strict'
import { createHmac, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import tls from 'node:tls'
import type { AllocationEventJson } from './api/allocation-events.ts'
import type { RelayConfigInput } from './api/config.ts'
import { type Directives, type LoadReport, loadReport } from './api/load-report.ts'
import { selfSigned } from './io/testing/certificate.ts'
import { bindingRequest } from './io/testing/frames.ts'
import { loopbackConfig, RelayChild } from './testing/relay-child.ts'
import { echoPeer, UdpClient } from './testing/udp-client.ts'

/** The batched one needs Linux. */
const DATAPATHS = process.platform === 'linux' ? (['portable', 'batched'] as const) : (['portable'] as const)

/** Loops on threads of their own take something each. */
const RESTS = [
  ['portable', 1, 90e6],
  ['batched', 1, 125e6],
  ['batched', 2, 150e6],
] as const
const REST_TRIES = 1_000

function relay(t: TestContext, config?: RelayConfigInput): RelayChild {
  const child = new RelayChild()
  t.after(() => child.stop())
  if (config) child.writeConfig(config)
  return child
}

async function started(t: TestContext, change: Partial<RelayConfigInput> = {}) {
  const child = relay(t, loopbackConfig(change))
  child.spawn()
  const { listeners } = await child.ready()
  return { child, udpPort: listeners.find(({ protocol }) => protocol === 'udp')!.port, listeners }
}

async function client(
  t: TestContext,
  port: number,
  username = 'user',
  password = 'password',
): Promise<UdpClient> {
  const one = await new UdpClient({ port, username, password }).open()
  t.after(() => one.close())
  return one
}

describe('a relay process', { timeout: 60_000, concurrency: 2 }, () => {
  for (const datapath of DATAPATHS) {
    it(`relays, reports, and leaves cleanly when its last allocation has ended (${datapath})`, async (t) => {
      const { child, udpPort } = await started(t, { datapath })
      const { datapath: used } = await child.line(({ msg }) => msg === 'configuration in force')
      assert.equal(used, datapath)
      const peer = await echoPeer()
      t.after(peer.close)
      const alice = await client(t, udpPort)
      await alice.allocate()
      await alice.permit(peer.address)
      assert.equal(await alice.echo(peer.address, 'through the relay'), 'through the relay')

      const load = loadReport.parse(await child.load())
      assert.deepEqual([load.state, load.allocations, load.addresses], ['serving', 1, ['127.0.0.1']])
      assert.deepEqual((await child.get('/readyz')).status, 200)
      const { text } = await child.get('/metrics')
      assert.match(text, /^turnfleet_relay_allocations 1$/m)
      assert.match(text, /^turnfleet_relay_relayed_bytes_total\{from="peer"\} 17$/m)
      assert.match(text, /^turnfleet_relay_responses_total\{method="Allocate",code="401"\} [1-9]/m)
      const turns = ['bucket\\{le="\\+Inf"\\}', 'count'].map((part) =>
        Number(new RegExp(`^turnfleet_relay_loop_turn_seconds_${part} (\\d+)$`, 'm').exec(text)?.[1]),
      )
      assert.equal(turns[0], turns[1])
      assert.equal(turns[0]! > 0, datapath !== 'portable')
      assert.doesNotMatch(text, /alice|user="/)

      child.signal('SIGTERM')
      await child.line(({ msg }) => msg.startsWith('told to end'))
      const bob = await client(t, udpPort)
      await assert.rejects(bob.allocate(), /failed instead of allocated \(508\)/)
      assert.equal(await alice.echo(peer.address, 'still relayed'), 'still relayed')
      assert.equal((await child.get('/livez')).status, 200)
      assert.equal((await child.load()).state, 'draining')
      await alice.refresh(0)
      assert.equal(await child.exited, 0)
    })

    it(`ends at once when it serves nobody, and with 3 at the second signal or the longest drain (${datapath})`, async (t) => {
      const idle = await started(t, { datapath })
      idle.child.signal('SIGTERM')
      assert.equal(await idle.child.exited, 0)

      const busy = await started(t, { datapath })
      await (await client(t, busy.udpPort)).allocate()
      busy.child.signal('SIGTERM')
      await busy.child.line(({ msg }) => msg.startsWith('told to end'))
      busy.child.signal('SIGTERM')
      assert.equal(await busy.child.exited, 3)

      const bounded = await started(t, { datapath, drain: { maxDurationSeconds: 0 } })
      await (await client(t, bounded.udpPort)).allocate()
      bounded.child.signal('SIGTERM')
      assert.equal(await bounded.child.exited, 3)
    })

    it(`does not start from a bad file, a taken port or with a missing flag, and says why (${datapath})`, async (t) => {
      const bad = relay(t)
      bad.write('relay.yaml', 'realm: r\nlisteners:\n  - {protocol: udp, port: 99999}\nrelay: {}\n')
      bad.spawn()
      assert.equal(await bad.exited, 1)
      assert.match(bad.stderr, /^turnfleet relay: relay\.yaml:3: listeners\[0\]\.port: Too big/)

      const { udpPort } = await started(t, { datapath })
      const taken = relay(
        t,
        loopbackConfig({ datapath, listeners: [{ protocol: 'udp', address: '127.0.0.1', port: udpPort }] }),
      )
      taken.spawn()
      assert.equal(await taken.exited, 1)
      assert.match(
        taken.stderr,
        new RegExp(`cannot listen on UDP 127.0.0.1:${udpPort}: port ${udpPort} is taken; stop the`),
      )

      const good = relay(t, loopbackConfig())
      good.spawn('--check')
      assert.equal(await good.exited, 0)
    })

    it(`takes over listeners, keys and limits live and refuses a bad file without harm (${datapath})`, async (t) => {
      const keys = (id: string, secret: string) =>
        `keys: [{id: ${id}, secret: ${secret}}]\nnonceKeys: [{id: n, secret: nonce}]\n`
      const config = loopbackConfig({ datapath, credentials: { keysFile: 'keys.yaml' } })
      const child = relay(t, config)
      child.write('keys.yaml', keys('k1', 'first'))
      child.spawn()
      const udpPort = (await child.ready()).listeners[0]!.port
      const alice = await client(t, udpPort, ...restCredential('first'))
      await alice.allocate()

      child.write('keys.yaml', keys('k2', 'second'))
      await child.line(({ keys }) => String(keys) === 'k2')
      await (await client(t, udpPort, ...restCredential('second'))).allocate()
      await assert.rejects((await client(t, udpPort, ...restCredential('first'))).allocate(), /\(401\)/)
      assert.deepEqual((await child.load()).keyIds, ['k2'])

      child.writeConfig({ ...config, limits: { allocations: 1.5 } })
      const refused = await child.line(({ reason }) => reason === 'InvalidConfig')
      assert.match(refused.msg, /^relay\.yaml:\d+: limits\.allocations: /)
      const [problem] = (await child.load()).problems
      assert.equal(problem!.reason, 'InvalidConfig')
      assert.match(
        (await child.get('/metrics')).text,
        /^turnfleet_relay_config_problems\{reason="InvalidConfig"\} 1$/m,
      )

      const [udp] = config.listeners
      child.writeConfig({ ...config, listeners: [udp!, { protocol: 'udp', address: '::1', port: 0 }] })
      const applied = await child.line(({ listeners }) => JSON.stringify(listeners ?? '').includes('::1'))
      const bound = applied.listeners as { protocol: string; address: string; port: number }[]
      assert.deepEqual(
        bound.map(({ protocol, address }) => `${protocol} ${address}`),
        ['udp 127.0.0.1', 'udp ::1'],
      )
      assert.equal(bound[0]!.port, udpPort, 'a listener that stays is left alone')
      assert.deepEqual((await child.load()).problems, [])
      assert.equal((await child.load()).allocations, 2, 'no allocation was lost')
    })

    it(`reloads its certificate for new connections and keeps the old one when the pair does not match (${datapath})`, async (t) => {
      const [one, two] = [await selfSigned('one.example.org'), await selfSigned('two.example.org')]
      const child = relay(
        t,
        loopbackConfig({
          datapath,
          listeners: [{ protocol: 'tls', address: '127.0.0.1', port: 0 }],
          tls: { certFile: 'tls.crt', keyFile: 'tls.key' },
        }),
      )
      child.write('tls.crt', one.cert)
      child.write('tls.key', one.key)
      child.spawn()
      const { port } = (await child.ready()).listeners[0]!
      const first = await handshake(t, port)
      assert.equal(first.getPeerCertificate().subject.CN, 'one.example.org')
      // A stream that says nothing at first is soon closed.
      first.write(bindingRequest())
      await once(first, 'data')

      child.write('tls.crt', two.cert)
      await child.line(({ reason }) => reason === 'InvalidCertificate')
      assert.equal((await handshake(t, port)).getPeerCertificate().subject.CN, 'one.example.org')
      child.write('tls.key', two.key)
      const fingerprint = new X509Certificate(two.cert).fingerprint256.replaceAll(':', '').toLowerCase()
      await child.line(({ certificate }) => certificate === fingerprint)
      assert.equal((await handshake(t, port)).getPeerCertificate().subject.CN, 'two.example.org')
      first.write(bindingRequest())
      await once(first, 'data')
    })
  }

  it('is ready only once it has an address and a key', async (t) => {
    const child = relay(
      t,
      loopbackConfig({
        relay: { addressesFile: 'addresses.yaml' },
        credentials: { keysFile: 'keys.yaml' },
      }),
    )
    child.spawn()
    await child.ready()
    const missing = await child.get('/readyz')
    assert.equal(missing.status, 503)
    assert.equal(missing.text, 'there is no public address\nthere is no credential key and no user\n')
    assert.equal((await child.get('/livez')).status, 200)
    child.write('addresses.yaml', '- {advertise: 127.0.0.1}\n')
    child.write('keys.yaml', 'keys: [{id: k, secret: s}]\nnonceKeys: [{id: n, secret: s}]\n')
    await child.line(({ keys, addresses }) => String(keys) === 'k' && String(addresses) === '127.0.0.1')
    assert.equal((await child.get('/readyz')).status, 200)
  })

  it('reports to its operator, obeys it, and serves on without it', async (t) => {
    const operator = await fakeOperator(t)
    const child = relay(t)
    child.write('token', 'first-token')
    child.writeConfig(
      loopbackConfig({
        operator: { url: operator.url, tokenFile: 'token', intervalSeconds: 0.2 },
        identity: { uid: 'uid-1', name: 'public-0-abc', cluster: 'turn/public' },
      }),
    )
    child.spawn()
    const { listeners } = await child.ready()
    const first = await operator.report(() => true)
    assert.deepEqual(
      [first.path, first.authorization, first.body.name, first.body.cluster],
      ['/v1/relays/uid-1/report', 'Bearer first-token', 'public-0-abc', 'turn/public'],
    )
    child.write('token', 'second-token')
    await operator.report(({ authorization }) => authorization === 'Bearer second-token')

    const alice = await client(t, listeners[0]!.port)
    await alice.allocate()
    operator.directives.drain = true
    operator.directives.alternates = [{ address: '127.0.0.1', port: 9 }]
    await operator.report(({ body }) => body.drainAcknowledged && body.state === 'draining')
    await assert.rejects((await client(t, listeners[0]!.port)).allocate(), /\(300\)/)
    await alice.refresh(0)
    await operator.report(({ body }) => body.state === 'drained' && body.allocations === 0)

    operator.directives.drain = false
    await operator.report(({ body }) => body.state === 'serving' && !body.drainAcknowledged)
    await (await client(t, listeners[0]!.port)).allocate()

    operator.failing = true
    await child.line(({ msg }) => msg.startsWith('the operator takes no reports'))
    await (await client(t, listeners[0]!.port)).allocate()
    operator.failing = false
    await child.line(({ msg }) => msg.startsWith('the operator takes reports again'))
  })

  it('ends the calls of a revoked user by file and by directive, the newer of which holds, and says so', async (t) => {
    const operator = await fakeOperator(t)
    const child = relay(
      t,
      loopbackConfig({
        credentials: { users: TWO_USERS, revocationsFile: 'revoked.yaml' },
        operator: { url: operator.url, intervalSeconds: 0.2 },
      }),
    )
    child.spawn('--uid', 'uid-1', '--cluster', 'turn/public')
    const { listeners } = await child.ready()
    const user = (name: string) => client(t, listeners[0]!.port, name, 'password')
    const list = (generation: number, ...names: string[]) => ({
      generation,
      entries: names.map((name) => ({ id: name, user: name, until: '2999-01-01T00:00:00Z' })),
    })
    const alice = await user('alice')
    const bob = await user('bob')
    await alice.allocate()
    await bob.allocate()

    child.write('revoked.yaml', JSON.stringify(list(5, 'alice')))
    await operator.report(({ body }) => body.revocations === 5 && body.allocations === 1)
    await assert.rejects((await user('alice')).allocate(), /\(403\)/)

    operator.directives.revocations = list(7, 'bob')
    await operator.report(({ body }) => body.revocations === 7 && body.allocations === 0)
    await assert.rejects((await user('bob')).allocate(), /\(403\)/)
    await (await user('alice')).allocate()

    child.write('revoked.yaml', JSON.stringify(list(6, 'alice')))
    child.write('revoked.yaml', JSON.stringify(list(8)))
    await operator.report(({ body }) => body.revocations === 8)
    await (await user('bob')).allocate()
    const { text } = await child.get('/metrics')
    assert.match(text, /^turnfleet_relay_allocations_closed_total\{reason="revoked"\} 2$/m)
    assert.match(text, /^turnfleet_relay_refusals_total\{reason="revoked"\} 2$/m)
    assert.match(text, /^turnfleet_relay_revocations 0$/m)
  })

  it('tells of allocations by /events, and in reports while the operator asks', async (t) => {
    const operator = await fakeOperator(t)
    const child = relay(t, loopbackConfig({ operator: { url: operator.url, intervalSeconds: 0.2 } }))
    child.spawn('--uid', 'uid-1', '--cluster', 'turn/public')
    const { listeners, control } = await child.ready()
    const quiet = await operator.report(() => true)
    assert.equal(quiet.body.events, undefined)
    operator.directives.events = true
    await operator.report(({ body }) => body.events !== undefined)
    const events = await fetch(`http://127.0.0.1:${control.port}/events`)
    assert.equal(events.headers.get('content-type'), 'application/x-ndjson')
    const alice = await client(t, listeners[0]!.port)
    const relayed = await alice.allocate()
    const { body } = await operator.report((heard) => (heard.body.events?.events.length ?? 0) > 0)
    await alice.refresh(500)
    await alice.refresh(0)
    let text = ''
    for await (const chunk of events.body!) {
      text += Buffer.from(chunk).toString()
      if (text.includes('"closed"')) break
    }
    const lines = text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as AllocationEventJson)
    assert.deepEqual(
      lines.map(({ kind, username, relayed: [port] = [], reason }) => [kind, username, port, reason]),
      [
        ['opened', 'user', `127.0.0.1:${relayed.port}`, undefined],
        ['refreshed', 'user', `127.0.0.1:${relayed.port}`, undefined],
        ['closed', 'user', `127.0.0.1:${relayed.port}`, 'refresh-zero'],
      ],
    )
    assert.ok(Math.abs((lines[0]?.atMs ?? 0) - Date.now()) < 10_000)
    assert.deepEqual(body.events, { dropped: 0, events: [lines[0]] })
  })

  for (const [datapath, workers, most] of RESTS) {
    it(`rests in ${most / 1e6} MB with ${workers} event ${workers > 1 ? 'loops' : 'loop'} (${datapath})`, {
      skip: process.platform !== 'linux' && 'memory is read from /proc',
    }, async (t) => {
      // What this first one compiles is there for the next.
      await (await started(t, { datapath, workers })).child.get('/livez')
      const { child } = await started(t, { datapath, workers })
      let resident = Number.POSITIVE_INFINITY
      // Threads let go of what their start has left behind once the relay serves.
      for (let tries = 0; tries < REST_TRIES && resident > most; tries++) {
        await child.get('/livez')
        const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
        resident = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
      }
      t.diagnostic(`resident memory at rest: ${(resident / 1e6).toFixed(1)} MB`)
      assert.ok(resident <= most)
    })
  }
})

const TWO_USERS = [
  { username: 'alice', password: 'password' },
  { username: 'bob', password: 'password' },
]

function restCredential(secret: string): [username: string, password: string] {
  const username = `${Math.floor(Date.now() / 1000) + 600}:alice`
  return [username, createHmac('sha1', secret).update(username).digest('base64')]
}

async function handshake(t: TestContext, port: number): Promise<tls.TLSSocket> {
  const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
  t.after(() => void socket.destroy())
  await once(socket, 'secureConnect')
  // The process at its other end may be gone before it.
  socket.on('error', () => undefined)
  return socket
}

interface HeardReport {
  readonly path: string
  readonly authorization: string
  readonly body: LoadReport
}

/** An operator that says what the test wants. */
async function fakeOperator(t: TestContext) {
  const heard: HeardReport[] = []
  const waiters = new Set<() => void>()
  const directives: Directives = { drain: false, alternates: [], intervalSeconds: 0.2 }
  const operator = {
    url: '',
    directives,
    failing: false,
    /** The first report from now on that the condition holds for. */
    report: (condition: (report: HeardReport) => boolean): Promise<HeardReport> => {
      const from = heard.length
      return new Promise((resolve) => {
        const look = () => {
          const found = heard.slice(from).find(condition)
          if (!found) return
          waiters.delete(look)
          resolve(found)
        }
        waiters.add(look)
      })
    },
  }
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    if (operator.failing) {
      response.writeHead(503).end('not now')
      return
    }
    heard.push({
      path: request.url ?? '',
      authorization: request.headers.authorization ?? '',
      body: loadReport.parse(JSON.parse(text)),
    })
    response.end(JSON.stringify(directives))
    for (const look of [...waiters]) look()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  operator.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return operator
}
