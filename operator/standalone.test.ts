import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { UdpClient } from '../relay/testing/udp-client.ts'
import type { IceServer } from './credentials/issue.ts'
import { checkUrl } from './fleet/probe.ts'
import type { ClusterView } from './http/cluster-view.ts'

const STANDALONE = fileURLToPath(new URL('./standalone.ts', import.meta.url))
const LOOK_EVERY_MS = 100
/** Beyond the time in which a second signal counts as the same key press. */
const OTHER_KEYPRESS_MS = 600

/**
 * Of this process alone: a fleet looks for free ports from here up, and another one that starts on this machine at
 * the same moment would find the same, and answer its clients with 401.
 */
const FIRST_PORT = 10_000 + (process.pid % 1_000) * 20
const PORTS = { udp: FIRST_PORT, tls: FIRST_PORT + 10, events: FIRST_PORT + 20 }
const FURTHER_REALM = 'events.example.org'

function clusterFile(replicas: number): string {
  return `apiVersion: turnfleet.dev/v1alpha1
kind: TurnCluster
metadata: {name: test, namespace: here}
spec:
  realm: turn.example.org
  replicas: ${replicas}
  listeners:
    - {name: udp, protocol: UDP, port: ${PORTS.udp}}
    - {name: tls, protocol: TLS, port: ${PORTS.tls}}
    - {name: events, protocol: UDP, port: ${PORTS.events}}
  realms: [{realm: ${FURTHER_REALM}, listeners: [events]}]
  tls: {secretName: test-tls}
`
}

interface Running {
  process: ChildProcess
  lines: string[]
  line(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray>
}

function start(directory: string, args: string[] = []): Running {
  const file = join(directory, 'fleet.yaml')
  const state = join(directory, 'state')
  const child = spawn(
    process.execPath,
    [STANDALONE, '-f', file, '--state', state, '--address', '127.0.0.1', ...args],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => lines.push(line))
  }
  const line = (pattern: RegExp, timeoutMs: number) =>
    eventually(`a line like ${pattern}`, timeoutMs, () => {
      for (const text of lines) {
        const match = pattern.exec(text)
        if (match) return match
      }
      assert.equal(child.exitCode, null, lines.join('\n'))
      return undefined
    })
  return { process: child, lines, line }
}

async function eventually<T>(
  what: string,
  timeoutMs: number,
  look: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const endMs = performance.now() + timeoutMs
  while (performance.now() < endMs) {
    const found = await look()
    if (found !== undefined) return found
    await sleep(LOOK_EVERY_MS)
  }
  throw new Error(`${what} did not come within ${timeoutMs} ms`)
}

/** Children of a process, from the kernel. */
function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return text.split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

function udpPort(server: IceServer | undefined): number {
  return Number(/:(\d+)\?transport=udp/.exec(server?.urls.join(' ') ?? '')?.[1])
}

/** Holds an allocation until the test ends. */
async function allocate(t: TestContext, server: IceServer | undefined) {
  const port = udpPort(server)
  const { username = '', credential = '' } = server ?? {}
  const client = await new UdpClient({ port, username, password: credential }).open()
  t.after(() => client.close())
  await client.allocate()
  return { client, port }
}

/** Events of the fleet, the newest last, as they come until the test ends. */
async function readEvents(t: TestContext, url: string): Promise<Partial<Record<string, string>>[]> {
  const request = get(url, { agent: false })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  t.after(() => void request.destroy())
  assert.equal(response.headers['content-type'], 'text/event-stream')
  const events: Partial<Record<string, string>>[] = []
  let text = ''
  response.on('error', () => undefined)
  response.on('data', (chunk) => {
    text += String(chunk)
    const parts = text.split('\n\n')
    text = parts.pop() ?? ''
    for (const part of parts) {
      const data = /^data: (.*)$/m.exec(part)?.[1]
      if (data !== undefined) events.push(JSON.parse(data) as Partial<Record<string, string>>)
    }
  })
  return events
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe('a fleet on this machine', { timeout: 120_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'turnfleet-standalone-'))
  let running: Running
  let url = ''

  const ice = async (asked: object = {}): Promise<IceServer[]> => {
    const answer = await fetch(`${url}/v1/ice`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(asked),
    })
    return answer.ok ? ((await answer.json()) as { iceServers: IceServer[] }).iceServers : []
  }
  const relays = async () => {
    const answer = (await (await fetch(`${url}/v1/clusters`)).json()) as { clusters: ClusterView[] }
    return answer.clusters[0]?.relays ?? []
  }
  const children = () => childrenOf(running.process.pid ?? 0)

  before(async () => {
    writeFileSync(join(directory, 'fleet.yaml'), clusterFile(2))
    running = start(directory, ['--port', '0'])
    url = (await running.line(/^Console {2}(http:\S+)\/$/, 30_000))[1] ?? ''
  })

  after(async () => {
    const { process: child } = running
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    rmSync(directory, { recursive: true, force: true })
  })

  test('serves within seconds of its start', async (t) => {
    const [, seconds] = await running.line(/First allocation ([\d.]+) s after the start/, 1000)
    t.diagnostic(`start to first allocation: ${seconds} s`)
    assert.ok(Number(seconds) <= 10, `${seconds} s`)
  })

  test('hands out both relays, and UDP, TCP and TLS pass through each', async () => {
    const servers = await eventually('two relays', 10_000, async () => {
      const found = await ice()
      return found.length === 2 ? found : undefined
    })
    const urls = servers.flatMap(({ urls }) => urls)
    assert.equal(new Set(urls).size, 6)
    for (const { urls, username, credential } of servers) {
      for (const one of urls) {
        const result = await checkUrl(one, { username, credential, tls: { insecure: true } })
        assert.ok(result.ok, `${one}: ${JSON.stringify(result.steps.at(-1))}`)
      }
    }
  })

  test('a revoked user loses the calls on every relay within a report, and gets no new ones, until taken back', async (t) => {
    const events = await readEvents(t, `${url}/v1/clusters/here/test/events`)
    const servers = await ice()
    const calls = await Promise.all(servers.map((server) => allocate(t, server)))
    const path = `${url}/v1/clusters/here/test/revocations`
    const active = async () => (await relays()).reduce((sum, { allocations }) => sum + allocations, 0)
    await eventually('two calls', 5000, async () => ((await active()) === 2 ? true : undefined))
    const user = /:(.*)$/.exec(servers[0]?.username ?? '')?.[1] || servers[0]?.username
    const postedAtMs = performance.now()
    const answer = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user }),
    })
    assert.equal(answer.status, 201)
    const { revocation } = (await answer.json()) as { revocation: { id: string } }
    for (const { client } of calls) {
      const refusal = await eventually('the call to end', 10_000, () =>
        client.refresh().then(
          () => undefined,
          (error: Error) => error.message,
        ),
      )
      assert.match(refusal, /403/)
    }
    t.diagnostic(
      `POST to the end of the calls on both relays: ${Math.round(performance.now() - postedAtMs)} ms`,
    )
    await eventually('both ends in the event stream', 10_000, () => {
      const ends = events.filter(({ kind, reason }) => kind === 'closed' && reason === 'revoked')
      return new Set(ends.map(({ relay }) => relay)).size === 2 ? true : undefined
    })
    await eventually('no call', 5000, async () => ((await active()) === 0 ? true : undefined))
    await assert.rejects(allocate(t, servers[0]), /403/)
    const undone = await fetch(`${path}/${revocation.id}`, { method: 'DELETE' })
    assert.equal(undone.status, 200)
    const again = await eventually('a new call', 10_000, () => allocate(t, servers[0]).catch(() => undefined))
    await again.client.refresh(0)
  })

  test('a further realm has its own listener and credentials, which are good nowhere else', async (t) => {
    const [own] = await ice({ realm: FURTHER_REALM })
    const [other] = await ice()
    const { client } = await allocate(t, own)
    assert.equal(client.turn.realm, FURTHER_REALM)
    await client.refresh(0)
    assert.notEqual(udpPort(own), udpPort(other))
    await assert.rejects(allocate(t, { ...other!, urls: own!.urls }), /401/)
    await assert.rejects(allocate(t, { ...own!, urls: other!.urls }), /401/)
    assert.deepEqual(await ice({ realm: 'nobody.example.org' }), [])
  })

  test('a relay that dies is handed out no more, and another takes its place', async (t) => {
    const pids = children()
    assert.equal(pids.length, 2)
    const victim = pids[0] ?? 0
    process.kill(victim, 'SIGKILL')
    const killedAtMs = performance.now()
    await eventually('one relay', 5000, async () => ((await ice()).length === 1 ? true : undefined))
    t.diagnostic(`dead relay withdrawn after ${Math.round(performance.now() - killedAtMs)} ms`)
    await eventually('two relays again', 15_000, async () => ((await ice()).length === 2 ? true : undefined))
    t.diagnostic(`dead relay replaced after ${Math.round(performance.now() - killedAtMs)} ms`)
  })

  test('with fewer replicas a relay drains, and goes when its last allocation has ended', async (t) => {
    const clients = await Promise.all((await ice()).map((server) => allocate(t, server)))
    writeFileSync(join(directory, 'fleet.yaml'), clusterFile(1))
    const [kept] = await eventually('one relay handed out', 10_000, async () => {
      const servers = await ice()
      return servers.length === 1 ? servers : undefined
    })
    const leaving = clients.find(({ port }) => port !== udpPort(kept))
    assert.ok(leaving)
    await eventually('the other one drains', 10_000, async () => {
      const states = (await relays()).map(({ state }) => state).sort()
      return states.join() === 'Draining,Ready' ? states : undefined
    })
    await leaving.client.refresh()
    await leaving.client.refresh(0)
    await eventually('one process', 20_000, () => (children().length === 1 ? true : undefined))
    await eventually('one relay shown', 10_000, async () =>
      (await relays()).length === 1 ? true : undefined,
    )
    for (const { client } of clients) if (client !== leaving.client) await client.refresh(0)
  })

  test('a mistake in the file changes nothing and is told with its line', async () => {
    writeFileSync(join(directory, 'fleet.yaml'), clusterFile(1).replace(`port: ${PORTS.udp}`, 'port: 0'))
    await running.line(/fleet\.yaml:8: spec\.listeners\[0\]\.port: .*\(the fleet stays as it was\)/, 5000)
    assert.equal((await ice()).length, 1)
    writeFileSync(join(directory, 'fleet.yaml'), clusterFile(1))
  })

  test('Ctrl-C lets calls end, hands out no relay meanwhile, and leaves no process', async (t) => {
    const [server] = await ice()
    const { client } = await allocate(t, server)
    const pids = children()
    running.process.kill('SIGINT')
    await running.line(/^stopping: the relays drain/, 5000)
    await client.refresh()
    assert.deepEqual(await ice(), [])
    const exited = once(running.process, 'exit')
    await client.refresh(0)
    const [code] = await exited
    assert.equal(code, 0, running.lines.join('\n'))
    assert.deepEqual(pids.filter(isAlive), [])
  })

  test('a second Ctrl-C ends the calls too', async (t) => {
    running = start(directory, ['--port', '0'])
    url = (await running.line(/^Console {2}(http:\S+)\/$/, 30_000))[1] ?? ''
    await allocate(t, (await ice())[0])
    const pids = children()
    running.process.kill('SIGINT')
    await running.line(/^stopping/, 5000)
    const exited = once(running.process, 'exit')
    // One key press can arrive twice, so that the second one counts only a little later.
    await sleep(OTHER_KEYPRESS_MS)
    running.process.kill('SIGINT')
    await running.line(/^ending the calls/, 5000)
    const [code] = await exited
    assert.equal(code, 1)
    assert.deepEqual(pids.filter(isAlive), [])
  })

  test('a fleet whose operator is killed ends by itself', async () => {
    running = start(directory, ['--port', '0'])
    await running.line(/^Console/, 30_000)
    const pids = children()
    assert.ok(pids.length > 0)
    running.process.kill('SIGKILL')
    await once(running.process, 'exit')
    await eventually('no process', 10_000, () => (pids.some(isAlive) ? undefined : true))
  })
})

test('what is wrong with the start is said in one line', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'turnfleet-standalone-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const failure = async (content: string, args: string[] = []) => {
    writeFileSync(join(directory, 'fleet.yaml'), content)
    const { process: child, lines } = start(directory, args)
    const [code] = await once(child, 'close')
    assert.equal(code, 1)
    return lines.join('\n')
  }
  assert.match(
    await failure(clusterFile(2).replace('realm', 'relm')),
    /fleet\.yaml:5: spec\.relm: there is no such field/,
  )
  assert.match(await failure(clusterFile(2), ['--address', 'turn.example.org']), /is no IP address/)
  const server = createServer()
  t.after(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address)
  assert.match(await failure(clusterFile(2), ['--port', String(address.port)]), /is taken.*--port/)
})
