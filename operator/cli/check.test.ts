import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { CREDENTIAL, certificate, LoopbackRelay, PROTOCOLS } from '../../test/support/loopback-relay.ts'
import { runCheck } from './check.ts'

async function run(args: string[], env: Record<string, string> = {}) {
  const text = { out: '', err: '' }
  const into = (name: 'out' | 'err') => ({
    write(part: string) {
      text[name] += part
    },
  })
  const status = await runCheck(args, into('out'), into('err'), env)
  return { status, ...text }
}

/** An HTTP server that answers everything with one answer, and what it was asked. */
async function api(status: number, body: string) {
  const asked: { url: string | undefined; authorization: string | undefined; body: string }[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { authorization } = request.headers
    asked.push({ url: request.url, authorization, body: Buffer.concat(chunks).toString() })
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    origin,
    asked,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
}

/** A TCP port on which nothing listens. */
async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}

const MISTAKES: [string, string[], RegExp][] = [
  ['no URL', [], /give at least one TURN URL/],
  ['no credential', ['turn:127.0.0.1'], /need --username and --credential/],
  ['URLs and --api', ['turn:127.0.0.1', '--api', 'http://127.0.0.1:1'], /not both/],
  ['an unknown option', ['--frobnicate'], /frobnicate/],
  ['too many URLs', new Array(101).fill('turn:127.0.0.1'), /at most 100/],
]
for (const [name, args, message] of MISTAKES) {
  test(`${name}: a sentence, the usage and status 2`, async () => {
    const { status, out, err } = await run(args)
    assert.equal(status, 2)
    assert.equal(out, '')
    assert.match(err, message)
    assert.match(err, /--username NAME/)
  })
}

test('--help is no mistake', async () => {
  const { status, out, err } = await run(['--help'])
  assert.equal(status, 0)
  assert.match(out, /--api URL/)
  assert.equal(err, '')
})

test('a URL that cannot be reached fails with its step, and the others are checked all the same', async () => {
  const port = await closedPort()
  const urls = [`turn:127.0.0.1:${port}?transport=tcp`, 'stun:127.0.0.1', 'turns:127.0.0.1?transport=udp']
  const { status, out } = await run([...urls, '--username', 'u', '--credential', 'c'])
  assert.equal(status, 1)
  assert.match(out, /^ {2}connect +failed +[\d.]+ ms {2}nothing listens on 127\.0\.0\.1 TCP port \d+: check/m)
  assert.match(out, /"stun:127\.0\.0\.1" is not a TURN URL/)
  assert.match(out, /DTLS, which this check does not speak/)
  assert.match(out, /0 of 3 URLs work/)
})

test('URLs that work are shown step by step, with status 0', async () => {
  const relay = await new LoopbackRelay().start()
  const folder = await mkdtemp(join(tmpdir(), 'turnfleet-check-'))
  const ca = join(folder, 'ca.pem')
  await writeFile(ca, certificate.cert)
  try {
    const urls = PROTOCOLS.map((protocol) => relay.url(protocol, 'localhost'))
    const { status, out, err } = await run([...urls, '--username', CREDENTIAL.username, '--ca', ca], {
      TURNFLEET_CREDENTIAL: CREDENTIAL.credential,
    })
    assert.equal(err, '')
    assert.equal(status, 0, out)
    for (const url of urls) assert.ok(out.includes(`${url}: works`))
    assert.equal(out.match(/^ {2}echo +ok/gm)?.length, 3)
    assert.match(out, /All 3 URLs work\.\n$/)
  } finally {
    await relay.io.close()
    await rm(folder, { recursive: true })
  }
})

test('--json prints the results for programs', async () => {
  const url = `turn:127.0.0.1:${await closedPort()}?transport=tcp`
  const { status, out } = await run([url, '--username', 'u', '--json'], { TURNFLEET_CREDENTIAL: 'c' })
  assert.equal(status, 1)
  const [check] = JSON.parse(out)
  assert.equal(check.url, url)
  assert.deepEqual(
    check.steps.map(({ step, ok }: { step: string; ok: boolean }) => [step, ok]),
    [
      ['resolve', true],
      ['connect', false],
    ],
  )
})

test('--api asks for URLs and credentials with the key and the cluster', async () => {
  const url = `turn:127.0.0.1:${await closedPort()}?transport=tcp`
  const iceServers = [{ urls: ['stun:127.0.0.1', url], username: 'u', credential: 'c' }]
  await using server = await api(200, JSON.stringify({ iceServers, ttl: 60 }))
  const args = ['--api', `${server.origin}/`, '--cluster', 'turn/public']
  const { status, out } = await run(args, { TURNFLEET_API_KEY: 'tfk_1' })
  assert.deepEqual(server.asked, [
    { url: '/v1/ice', authorization: 'Bearer tfk_1', body: '{"cluster":"turn/public"}' },
  ])
  assert.equal(status, 1)
  assert.ok(out.includes(`${url}: fails`))
  assert.equal(out.includes('stun:'), false)
})

const ANSWERS: [string, number, string, RegExp][] = [
  [
    'a refusal',
    401,
    '{"error":{"code":"unauthenticated","message":"send an API key"}}',
    /401: send an API key/,
  ],
  ['a refusal that would drive the terminal', 403, '{"error":{"message":"\\u001b[2J"}}', /403: \?\[2J\n/],
  ['a page of something else', 200, '<html>', /does not answer as turnfleet does/],
  ['an answer without TURN URLs', 200, '{"iceServers":[{"urls":"stun:a"}]}', /gave no TURN URL/],
]
for (const [name, status, body, message] of ANSWERS) {
  test(`${name} from the API is told, with status 2`, async () => {
    await using server = await api(status, body)
    const result = await run(['--api', server.origin])
    assert.equal(result.status, 2)
    assert.match(result.err, message)
  })
}

test('an API that is not there or is no URL is told', async () => {
  const gone = await run(['--api', `http://127.0.0.1:${await closedPort()}`])
  assert.match(gone.err, /cannot be reached \(ECONNREFUSED\): check --api/)
  const bad = await run(['--api', 'localhost:8080'])
  assert.match(bad.err, /is not an HTTP URL/)
})
