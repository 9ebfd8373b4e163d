import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { runRevoke } from './revoke.ts'

/** An API whose relays acknowledge at the second look. */
async function fakeApi(t: TestContext) {
  const heard: string[] = []
  let looks = 0
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    heard.push(`${request.method} ${request.url} ${request.headers.authorization} ${body}`)
    if (request.method === 'GET') looks++
    if (request.headers.authorization !== 'Bearer tfk_good') {
      response.writeHead(403).end('{"error":{"message":"this caller may not do that"}}')
      return
    }
    response.end(
      JSON.stringify({
        generation: 1,
        ...(request.method === 'POST' && { revocation: { id: 'r-1' } }),
        revocations: [{ id: 'r-1', user: 'ali\u001bce', until: '2026-11-23T00:00:00Z' }],
        relays: { reporting: 2, acknowledged: looks > 1 ? 2 : 1 },
      }),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return { heard, api: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

async function revoke(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  let out = ''
  let err = ''
  const status = await runRevoke(
    args,
    { write: (text: string) => (out += text) },
    { write: (text: string) => (err += text) },
    { TURNFLEET_API_KEY: 'tfk_good' },
  )
  return { status, out, err }
}

test('a user is revoked, and the command waits until every relay has it', async (t) => {
  const { api, heard } = await fakeApi(t)
  const { status, out } = await revoke(
    '--api',
    api,
    '--cluster',
    'turn/public',
    '--user',
    'alice',
    '--for',
    '2h',
  )
  assert.equal(status, 0)
  assert.match(out, /^revoked as r-1\n2 of 2 relays have it after [\d.]+ s\n$/)
  assert.equal(
    heard[0],
    'POST /v1/clusters/turn/public/revocations Bearer tfk_good {"user":"alice","for":"2h"}',
  )
})

test('revocations are listed without what a terminal would obey, and taken back by id', async (t) => {
  const { api, heard } = await fakeApi(t)
  const { out } = await revoke('--api', api, '--cluster', 'turn/public', '--list')
  assert.match(out, /^r-1 {2}until 2026-11-23T00:00:00Z {2}user ali\Sce\n1 revocations; /)
  assert.ok(!out.includes('\u001b'))
  assert.equal((await revoke('--api', api, '--cluster', 'turn/public', '--undo', 'r-1')).status, 0)
  assert.match(heard[1] ?? '', /^DELETE \/v1\/clusters\/turn\/public\/revocations\/r-1 /)
})

test('what cannot be done is said, with status 2', async (t) => {
  const { api } = await fakeApi(t)
  const at = ['--api', api, '--cluster', 'turn/public']
  const cases: readonly [string[], RegExp][] = [
    [['--user', 'alice'], /give --api and --cluster/],
    [[...at], /say whom to revoke/],
    [[...at, '--list', '--user', 'a'], /say whom to revoke/],
    [[...at, '--users', 'a'], /--users/],
    [[...at, '--user', 'a', '--api-key', 'tfk_bad'], /answered 403: this caller may not do that/],
    [['--api', 'ftp://x', '--cluster', 'a/b', '--list'], /is not an HTTP URL/],
  ]
  for (const [args, message] of cases) {
    const { status, err } = await revoke(...args)
    assert.equal(status, 2, err)
    assert.match(err, message)
  }
})
