import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, test } from 'node:test'
import { systemClock } from '../queue/clock.ts'
import { KubeClient } from './client.ts'
import type { KubeObject } from './objects.ts'
import { Reflector, type ReflectorOptions } from './reflector.ts'

type Handler = (query: URLSearchParams, response: ServerResponse) => void

/** Answers requests from a script, one handler a request; the last one stays. */
let script: Handler[]
let asked: URLSearchParams[]
let changes: string[]
let notify: () => void
let reflector: Reflector<KubeObject>
let client: KubeClient
const server = createServer((request: IncomingMessage, response) => {
  const query = new URL(request.url ?? '', 'http://x').searchParams
  asked.push(query)
  const handler = script.length > 1 ? script.shift()! : script[0]!
  handler(query, response)
})

beforeEach(async () => {
  asked = []
  changes = []
  notify = () => {}
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  client = new KubeClient({
    server: origin,
    namespace: undefined,
    options: async () => ({ headers: {}, tls: {} }),
  })
})

afterEach(async () => {
  server.closeAllConnections()
  await reflector.stop()
  client.close()
  await new Promise((resolve) => server.close(resolve))
})

function start(handlers: Handler[], options: Partial<ReflectorOptions<KubeObject>> = {}): void {
  script = handlers
  reflector = new Reflector(client, {
    path: '/api/v1/pods',
    onChange: (after, before) => {
      changes.push(after ? `${before ? '~' : '+'}${after.metadata.name}` : `-${before?.metadata.name}`)
      notify()
    },
    clock: systemClock,
    random: () => 0,
    ...options,
  })
  reflector.start()
}

function pod(name: string, resourceVersion: number, uid = name): KubeObject {
  return { metadata: { name, namespace: 'turn', uid, resourceVersion: String(resourceVersion) } }
}

const list =
  (resourceVersion: number, items: KubeObject[], next?: string): Handler =>
  (_query, response) =>
    response.end(
      JSON.stringify({ metadata: { resourceVersion: String(resourceVersion), continue: next }, items }),
    )

/** Sends events; then ends the stream, or leaves it open. */
const watch =
  (events: { type: string; object: unknown }[], ending: 'end' | 'open' | 'cut' = 'open'): Handler =>
  (_query, response) => {
    response.writeHead(200)
    response.flushHeaders()
    for (const event of events) response.write(`${JSON.stringify(event)}\n`)
    if (ending === 'end') response.end()
    if (ending === 'cut') response.write('{"type":"MODIF', () => response.destroy())
  }

const refuse =
  (status: number, reason: string, headers: Record<string, string> = {}): Handler =>
  (_query, response) =>
    response.writeHead(status, headers).end(JSON.stringify({ reason, message: reason, code: status }))

const gone = { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } }

async function untilChanges(expected: string[]): Promise<void> {
  await new Promise<void>((resolve) => {
    notify = () => changes.length >= expected.length && resolve()
    notify()
  })
  assert.deepEqual(changes, expected)
}

test('it lists page by page, then watches from there with bookmarks', async () => {
  start(
    [
      list(10, [pod('a', 1)], 'more'),
      list(10, [pod('b', 2)]),
      watch([{ type: 'ADDED', object: pod('c', 11) }]),
    ],
    {
      labelSelector: 'x=y',
    },
  )
  await reflector.synced
  await untilChanges(['+a', '+b', '+c'])
  assert.equal(asked[1]!.get('continue'), 'more')
  assert.equal(asked[2]!.get('resourceVersion'), '10')
  assert.equal(asked[2]!.get('allowWatchBookmarks'), 'true')
  assert.ok(asked.every((query) => query.get('labelSelector') === 'x=y'))
  assert.equal(reflector.store.size, 3)
})

test('a watch that is cut resumes from the last bookmark without a list', async () => {
  const bookmark = { type: 'BOOKMARK', object: { metadata: { resourceVersion: '42' } } }
  start([
    list(10, [pod('a', 1)]),
    watch([{ type: 'MODIFIED', object: pod('a', 12) }, bookmark], 'cut'),
    watch([{ type: 'DELETED', object: pod('a', 43) }]),
  ])
  await untilChanges(['+a', '~a', '-a'])
  assert.equal(asked[2]!.get('resourceVersion'), '42')
  assert.equal(reflector.counts.lists, 1)
})

test('after 410 it lists again: what was deleted meanwhile goes, and is counted as missed', async () => {
  for (const expired of [watch([gone]), refuse(410, 'Expired')]) {
    changes = []
    asked = []
    start([list(10, [pod('a', 1), pod('b', 2)]), expired, list(50, [pod('b', 2), pod('c', 40)]), watch([])])
    await untilChanges(['+a', '+b', '-a', '+c'])
    assert.equal(reflector.counts.missed, 1)
    server.closeAllConnections()
    await reflector.stop()
  }
})

test('refusals are retried with back-off, Retry-After is obeyed, and it syncs in the end', async () => {
  const errors: string[] = []
  start(
    [
      refuse(500, 'InternalError'),
      refuse(429, 'TooManyRequests', { 'Retry-After': '0' }),
      list(5, [pod('a', 1)]),
      watch([]),
    ],
    { onError: (error) => errors.push(error.message) },
  )
  await reflector.synced
  assert.deepEqual(errors, ['InternalError', 'TooManyRequests'])
  assert.equal(reflector.store.size, 1)
})

test('a watch without a byte is given up and resumed', async () => {
  start([list(5, []), watch([]), watch([{ type: 'ADDED', object: pod('a', 6) }])], { idleMs: 50 })
  await untilChanges(['+a'])
  assert.equal(asked.length, 3)
  assert.match(String(reflector.counts.errors), /1/)
})

test('a list now and then finds what a watch did not tell', async () => {
  start(
    [
      list(5, []),
      watch([{ type: 'BOOKMARK', object: { metadata: { resourceVersion: '9' } } }], 'end'),
      list(20, [pod('a', 8)]),
      watch([]),
    ],
    {
      relistMs: 0,
    },
  )
  await untilChanges(['+a'])
  assert.equal(reflector.counts.missed, 1)
})

test('our own writes are seen at once; older news never undo them', async () => {
  const watching = Promise.withResolvers<ServerResponse>()
  start([
    list(5, [pod('a', 1)]),
    (query, response) => {
      watch([])(query, response)
      watching.resolve(response)
    },
  ])
  await reflector.synced
  const stream = await watching.promise
  reflector.learn(pod('a', 9))
  reflector.learn(pod('b', 10))
  reflector.learn(pod('ghost', 4))
  await untilChanges(['+a', '~a', '+b'])
  const events = [
    { type: 'MODIFIED', object: pod('a', 7) },
    { type: 'DELETED', object: pod('b', 8, 'an older b') },
    { type: 'DELETED', object: pod('a', 11) },
  ]
  for (const event of events) stream.write(`${JSON.stringify(event)}\n`)
  await untilChanges(['+a', '~a', '+b', '-a'])
  assert.equal(reflector.store.get('turn/b')?.metadata.resourceVersion, '10')
})
