import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type InteropRelay, interopRelay, REST_SECRET, USER } from './relay.ts'
import { echoPair, uclient, uclientWithChannels } from './uclient.ts'

/** Five messages of 100 bytes, five milliseconds apart. */
const SHORT = ['-n', '5', '-z', '5']
/** Over TLS uclient takes one message from each read and forgets the rest, and we may send several as one record. */
const SINGLE = ['-n', '1']
const AS_USER = ['-u', USER.username, '-w', USER.password]

interface Case {
  readonly transport: 'udp' | 'tcp' | 'tls' | 'dtls'
  readonly flags: readonly string[]
  readonly client?: 4 | 6
  readonly peer?: 4 | 6
  readonly credential?: readonly string[]
  /** What is sent and must come back. */
  readonly bytes: number
}

const CASES: Record<string, Case> = {
  'indications over UDP': { transport: 'udp', flags: ['-c', '-s'], bytes: 500 },
  'channels over UDP': { transport: 'udp', flags: ['-c'], bytes: 500 },
  'indications over TCP': { transport: 'tcp', flags: ['-t', '-c', '-s'], bytes: 500 },
  'channels over TCP': { transport: 'tcp', flags: ['-t', '-c'], bytes: 500 },
  'indications over TLS': { transport: 'tls', flags: [...SINGLE, '-t', '-S', '-c', '-s'], bytes: 100 },
  'channels over TLS': { transport: 'tls', flags: [...SINGLE, '-t', '-S', '-c'], bytes: 100 },
  'indications over DTLS': { transport: 'dtls', flags: ['-S', '-c', '-s'], bytes: 500 },
  'channels over DTLS': { transport: 'dtls', flags: ['-S', '-c'], bytes: 500 },
  'large datagrams over DTLS': { transport: 'dtls', flags: ['-S', '-c', '-s', '-l', '1200'], bytes: 6000 },
  'IPv6 end to end': { transport: 'udp', flags: ['-x', '-c', '-s'], client: 6, peer: 6, bytes: 500 },
  'an IPv6 relay for an IPv4 client': { transport: 'udp', flags: ['-x', '-c', '-s'], peer: 6, bytes: 500 },
  'TCP over IPv6': { transport: 'tcp', flags: ['-x', '-t', '-c', '-s'], client: 6, peer: 6, bytes: 500 },
  'RTP and RTCP on a pair of ports': { transport: 'udp', flags: ['-s'], bytes: 1000 },
  'ChannelData with padding': { transport: 'udp', flags: ['-c', '-D', '-l', '99'], bytes: 495 },
  'large datagrams over TCP': { transport: 'tcp', flags: ['-t', '-c', '-s', '-l', '1400'], bytes: 7000 },
  'TCP allocations (RFC 6062)': { transport: 'tcp', flags: ['-T'], bytes: 1000 },
  'TCP allocations over TLS': { transport: 'tls', flags: [...SINGLE, '-T', '-S'], bytes: 200 },
  'twenty clients at once': { transport: 'udp', flags: ['-c', '-s', '-m', '20'], bytes: 10_000 },
  'a TURN REST credential over UDP': {
    transport: 'udp',
    flags: ['-c', '-s'],
    credential: ['-u', 'alice', '-W', REST_SECRET],
    bytes: 500,
  },
  'a TURN REST credential over TLS': {
    transport: 'tls',
    flags: [...SINGLE, '-t', '-S', '-c', '-s'],
    credential: ['-u', 'alice', '-W', REST_SECRET],
    bytes: 100,
  },
}

describe('turnutils_uclient', { concurrency: 4, timeout: 60_000 }, () => {
  let relay: InteropRelay
  let peers: { 4: Awaited<ReturnType<typeof echoPair>>; 6: Awaited<ReturnType<typeof echoPair>> }
  before(async () => {
    relay = await interopRelay()
    peers = { 4: await echoPair('127.0.0.1'), 6: await echoPair('::1') }
  })
  after(async () => {
    peers[4].close()
    peers[6].close()
    await relay.child.stop()
  })

  function commandLine({ transport, flags, client = 4, peer = 4, credential = AS_USER }: Case): string[] {
    const server = client === 4 ? '127.0.0.1' : '::1'
    const verify =
      transport === 'tls' || transport === 'dtls' ? ['-E', join(relay.child.folder, 'tls.crt')] : []
    const to = ['-e', peer === 4 ? '127.0.0.1' : '::1', '-r', String(peers[peer].port)]
    return [
      ...SHORT,
      ...credential,
      ...flags,
      ...verify,
      ...to,
      '-p',
      String(relay.port(transport, client)),
      server,
    ]
  }

  for (const [name, one] of Object.entries(CASES)) {
    it(`sends and gets back every byte: ${name}`, async () => {
      const withIndications = one.flags.includes('-s')
      const result = await (withIndications ? uclient : uclientWithChannels)(commandLine(one))
      assert.deepEqual([result.sentBytes, result.receivedBytes], [one.bytes, one.bytes], result.output)
    })
  }

  it('is refused with a wrong password', async () => {
    const wrong = ['-u', USER.username, '-w', 'wrong']
    const { code, output } = await uclient(
      commandLine({ transport: 'udp', flags: ['-c', '-s'], credential: wrong, bytes: 0 }),
    )
    assert.notEqual(code, 0)
    assert.match(output, /Cannot complete Allocation/)
  })
})
