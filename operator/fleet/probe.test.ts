import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { after, before, test } from 'node:test'
import type { RelayConfigInput } from '../../relay/api/config.ts'
import { isChannelDataByte } from '../../relay/stun/channel-data.ts'
import { METHOD, methodOf } from '../../relay/stun/methods.ts'
import { CREDENTIAL, certificate, LoopbackRelay, PROTOCOLS } from '../../test/support/loopback-relay.ts'
import { checkUrl, probeRelay, type UrlCheck } from './probe.ts'

/** A relay for one test. */
async function withRelay(changes: Partial<RelayConfigInput>, use: (relay: LoopbackRelay) => Promise<void>) {
  const relay = await new LoopbackRelay(changes).start()
  try {
    await use(relay)
  } finally {
    await relay.io.close()
  }
}

const relay = new LoopbackRelay()
before(() => relay.start())
after(() => relay.io.close())

/** The step that failed, and why. */
function failure(check: UrlCheck): string {
  assert.equal(check.ok, false)
  const failed = check.steps.filter(({ ok }) => !ok)
  assert.equal(failed.length, 1)
  assert.equal(check.steps.at(-1), failed[0])
  return `${failed[0]?.step}: ${failed[0]?.message}`
}

for (const protocol of PROTOCOLS) {
  test(`a ${protocol} URL works, step by step, and leaves no allocation behind`, async () => {
    const check = await checkUrl(relay.url(protocol), { ...CREDENTIAL, tls: { ca: certificate.cert } })
    assert.deepEqual(
      check.steps.filter(({ ok }) => !ok),
      [],
    )
    assert.deepEqual(
      check.steps.map(({ step }) => step),
      [
        'resolve',
        'connect',
        ...(protocol === 'tls' ? ['tls'] : []),
        'authenticate',
        'allocate',
        'permission',
        'echo',
      ],
    )
    assert.equal(check.ok, true)
    assert.equal(relay.turn.allocationCount, 0)
  })
}

test('a host name is resolved and verified', async () => {
  const check = await checkUrl(relay.url('tls', 'localhost'), {
    ...CREDENTIAL,
    tls: { ca: certificate.cert },
  })
  assert.equal(check.ok, true)
})

test('a name that does not exist fails at resolve', async () => {
  assert.match(failure(await checkUrl('turn:relay.invalid', CREDENTIAL)), /^resolve: .*check the spelling/)
})

test('a wrong credential fails at authenticate over every transport', async () => {
  for (const protocol of PROTOCOLS) {
    const wrong = { username: 'alice', credential: 'wrong', tls: { insecure: true } }
    assert.match(
      failure(await checkUrl(relay.url(protocol), wrong)),
      /^authenticate: .*refuses the credential/,
    )
  }
})

test('an untrusted certificate fails at tls, and says how to go on', async () => {
  assert.match(failure(await checkUrl(relay.url('tls'), CREDENTIAL)), /^tls: .*trusted authority.*--insecure/)
  assert.equal((await checkUrl(relay.url('tls'), { ...CREDENTIAL, tls: { insecure: true } })).ok, true)
})

test('a certificate for another name fails at tls', async () => {
  const tls = { ca: certificate.cert, servername: 'other.example.org' }
  assert.match(
    failure(await checkUrl(relay.url('tls'), { ...CREDENTIAL, tls })),
    /^tls: the certificate is not for/,
  )
})

test('a stream on which something else answers fails', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {}).resume()
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  try {
    const plain = await checkUrl(`turn:127.0.0.1:${port}?transport=tcp`, CREDENTIAL)
    assert.match(failure(plain), /^allocate: the server answers with something that is not TURN/)
    const tls = await checkUrl(`turns:127.0.0.1:${port}?transport=tcp`, CREDENTIAL)
    assert.match(failure(tls), /^tls: no TLS with 127\.0\.0\.1/)
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
})

test('a UDP port that never answers fails at connect within the limit', async () => {
  const silent = createSocket('udp4')
  await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve))
  try {
    const url = `turn:127.0.0.1:${silent.address().port}`
    const check = await checkUrl(url, { ...CREDENTIAL, stepTimeoutMs: 100 })
    assert.match(failure(check), /^connect: no answer from 127\.0\.0\.1 UDP port/)
  } finally {
    silent.close()
  }
})

test('a check that is aborted ends at once', async () => {
  const silent = createSocket('udp4')
  await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve))
  try {
    const abort = new AbortController()
    silent.once('message', () => abort.abort())
    const url = `turn:127.0.0.1:${silent.address().port}`
    const check = await checkUrl(url, { ...CREDENTIAL, signal: abort.signal })
    assert.match(failure(check), /^connect: the check was ended/)
  } finally {
    silent.close()
  }
})

test('a relay that forbids its own address says so at permission', () =>
  withRelay({ peers: { hairpin: false } }, async (one) => {
    const check = await checkUrl(one.url('udp'), CREDENTIAL)
    assert.match(failure(check), /^permission: .*own relayed address \(403\).*peers/)
  }))

test('a full relay and a full user say so at allocate', async () => {
  await withRelay({ limits: { allocationsPerUser: 1 } }, async (one) => {
    assert.match(failure(await checkUrl(one.url('udp'), CREDENTIAL)), /^allocate: .*allocationsPerUser/)
  })
  await withRelay({ limits: { allocations: 1 } }, async (one) => {
    assert.match(failure(await checkUrl(one.url('udp'), CREDENTIAL)), /^allocate: .*allocationsPerRelay/)
  })
})

test('a draining relay says so at allocate', () =>
  withRelay({}, async (one) => {
    one.turn.startDrain({ alternates: [] })
    assert.match(failure(await checkUrl(one.url('tcp'), CREDENTIAL)), /^allocate: /)
  }))

/** Lets `change` spoil what the relay sends to a client of a peer's data; false: it is lost. */
function spoilData(relay: LoopbackRelay, change: (buffer: Uint8Array, end: number) => boolean): void {
  const send = relay.io.sendToClient.bind(relay.io)
  relay.io.sendToClient = (link, to, buffer, offset, length) => {
    const isData = isChannelDataByte(buffer[offset]!) || methodOf(buffer[offset + 1]!) === METHOD.Data
    if (!isData || change(buffer, offset + length)) send(link, to, buffer, offset, length)
  }
}

test('a relay that loses all data fails at echo', () =>
  withRelay({}, async (one) => {
    spoilData(one, () => false)
    const check = await checkUrl(one.url('udp'), { ...CREDENTIAL, stepTimeoutMs: 300 })
    assert.match(
      failure(check),
      /^echo: .*no data came through 127\.0\.0\.1:\d+ \(timeout\): open the relay's UDP port/,
    )
  }))

test('a relay that changes data fails at echo', () =>
  withRelay({}, async (one) => {
    spoilData(one, (buffer, end) => {
      buffer[end - 1]! ^= 1
      return true
    })
    assert.match(failure(await checkUrl(one.url('tcp'), CREDENTIAL)), /^echo: .*changed/)
  }))

test('probeRelay goes through every listener, and names the one that fails', async () => {
  const listeners = [
    { protocol: 'UDP', port: relay.ports.udp },
    { protocol: 'TCP', port: relay.ports.tcp },
    { protocol: 'TLS', port: relay.ports.tls },
  ] as const
  const probe = { ...CREDENTIAL, address: '127.0.0.1', listeners, tls: { insecure: true } }
  const passed = await probeRelay(probe)
  assert.equal(passed.passed, true)
  assert.match(passed.message, /^echo through UDP \d+, TCP \d+, TLS \d+ of 127\.0\.0\.1 in \d+ ms$/)
  const [udp, tcp] = listeners
  const failed = await probeRelay({ ...probe, listeners: [tcp, { ...udp, port: 1 }] })
  assert.equal(failed.passed, false)
  assert.match(failed.message, /^UDP 1: nothing listens/)
})
