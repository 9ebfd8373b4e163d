import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { TransportAddress } from '../stun/address.ts'
import { EventFeed } from './event-feed.ts'
import { EventStreams } from './event-stream.ts'

const opened = (username: string) =>
  ({
    kind: 'allocation-opened',
    at: 0,
    allocation: {
      allocation: 1,
      link: 1,
      username,
      keyId: 'k',
      realm: 'r',
      transport: 'udp',
      client: new TransportAddress(),
      relayTransport: 'udp',
      relayed: [],
    },
  }) as const

async function serving(t: TestContext) {
  const feed = new EventFeed(
    () => 0,
    () => undefined,
  )
  const streams = new EventStreams(feed)
  const responses: ServerResponse[] = []
  const server = createServer((_request, response) => {
    responses.push(response)
    if (!streams.open(response)) response.writeHead(503).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const read = async (): Promise<IncomingMessage> => {
    const request = get({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, agent: false })
    request.on('error', () => undefined)
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    response.on('error', () => undefined)
    return response
  }
  return { feed, responses, read }
}

test('a reader that is slow holds a bounded amount, and hears how much it has missed', async (t) => {
  const { feed, responses, read } = await serving(t)
  const reader = await read()
  const sent = 100_000
  let most = 0
  for (let i = 0; i < sent; i++) {
    feed.write(opened('x'.repeat(100)))
    most = Math.max(most, responses[0]?.writableLength ?? 0)
  }
  assert.ok(most < 2_000_000, `${most} bytes waited`)
  let heard = 0
  let missed = 0
  const lines = createInterface({ input: reader })
  lines.on('error', () => undefined)
  const over = new Promise<void>((resolve) => {
    lines.on('line', (line) => {
      if (line === '') return
      const event = JSON.parse(line) as { kind: string; dropped?: number; username?: string }
      if (event.kind === 'gap') missed += event.dropped ?? 0
      else heard++
      if (event.username === 'last') resolve()
    })
  })
  const again = setInterval(() => feed.write(opened('last')), 20)
  await over
  clearInterval(again)
  lines.close()
  reader.destroy()
  assert.ok(heard > 0 && missed > 0, `${heard} heard, ${missed} missed`)
  assert.ok(heard + missed >= sent, `${heard} heard and ${missed} missed of ${sent}`)
})

test('readers are bounded, and one that goes makes room and stops the events', async (t) => {
  const { feed, responses, read } = await serving(t)
  const readers = await Promise.all(Array.from({ length: 8 }, read))
  assert.ok(readers.every(({ statusCode }) => statusCode === 200))
  assert.equal((await read()).statusCode, 503)
  const closed = once(responses[0]!, 'close')
  for (const reader of readers) reader.destroy()
  await closed
  await Promise.all(responses.map((response) => response.closed || once(response, 'close')))
  assert.equal(feed.wanted, false)
  assert.equal((await read()).statusCode, 200)
})
