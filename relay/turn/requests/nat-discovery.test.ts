import assert from 'node:assert/strict'
import { test } from 'node:test'
import { request, TurnHarness } from '../../../test/support/turn-harness.ts'
import { TransportAddress } from '../../stun/address.ts'
import { formatAddress } from '../../stun/address-text.ts'
import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import { readAddress, readErrorCode, readTypeList, readXorAddress } from '../../stun/attributes.ts'
import { METHOD } from '../../stun/methods.ts'
import { StunReader } from '../../stun/reader.ts'
import type { StunWriter } from '../../stun/writer.ts'

const CLIENT = '198.51.100.7:4000'
/** A1:P1, A1:P2, A2:P1, A2:P2 of RFC 5780 §6.1, by the ids of their links. */
const SITES = ['192.0.2.1:3478', '192.0.2.1:3479', '192.0.2.2:3478', '192.0.2.2:3479'] as const
const CHANGE = { none: 0, ip: 4, port: 2, both: 6 } as const
const natDiscovery = {
  addresses: [{ advertise: '192.0.2.1' }, { advertise: '192.0.2.2' }],
  ports: [3478, 3479],
}

function discovering(sites: readonly string[] = SITES, input: object = {}): TurnHarness {
  const harness = new TurnHarness({ natDiscovery, ...input })
  harness.server.removeLink(1, harness.now)
  sites.forEach((site, index) => {
    harness.addLink(index + 1, 'udp', site)
  })
  return harness
}

interface Answer {
  readonly link: number
  readonly to: string
  readonly bytes: Uint8Array
  readonly reader: StunReader
  readonly code: number
}

/** Asks at one of the sites; undefined where nothing is answered. */
function ask(
  harness: TurnHarness,
  link: number,
  attributes?: (writer: StunWriter) => void,
  from = CLIENT,
): (Answer & { asked: number }) | undefined {
  const bytes = request(METHOD.Binding, attributes ? { attributes } : {})
  harness.fromClient(from, bytes, link)
  let answer: Answer | undefined
  for (let output = harness.server.nextOutput(); output; output = harness.server.nextOutput()) {
    if (output.kind === 'transmit') answer = read(output.link, formatAddress(output.to), output.bytes)
  }
  return answer && { ...answer, asked: bytes.length }
}

function read(link: number, to: string, bytes: Uint8Array): Answer {
  const reader = new StunReader()
  assert.equal(reader.read(bytes, 0, bytes.length), 'ok')
  const error = reader.find(ATTRIBUTE.ErrorCode)
  return { link, to, bytes, reader, code: error < 0 ? 0 : readErrorCode(reader, error)!.code }
}

function plain({ reader }: Answer, type: number): string | undefined {
  const into = new TransportAddress()
  const index = reader.find(type)
  return index >= 0 && readAddress(reader, index, into) ? formatAddress(into) : undefined
}

const change = (flags: number) => (writer: StunWriter) => writer.addUint32(ATTRIBUTE.ChangeRequest, flags)
const responsePort = (port: number) => (writer: StunWriter) =>
  writer.addUint32(ATTRIBUTE.ResponsePort, port * 65_536)
const padding = (bytes: number) => (writer: StunWriter) =>
  writer.addBytes(ATTRIBUTE.Padding, new Uint8Array(bytes).fill(7))

for (const [flags, [ip, port]] of Object.entries({
  none: [0, 0],
  ip: [1, 0],
  port: [0, 1],
  both: [1, 1],
} as const)) {
  test(`RFC 5780 §6.1, table 1: CHANGE-REQUEST "${flags}" chooses the source, OTHER-ADDRESS changes both`, () => {
    SITES.forEach((site, index) => {
      const answer = ask(discovering(), index + 1, change(CHANGE[flags as keyof typeof CHANGE]))!
      const origin = index ^ (ip * 2 + port)
      assert.deepEqual([answer.code, answer.link, answer.to], [0, origin + 1, CLIENT], site)
      assert.equal(plain(answer, ATTRIBUTE.ResponseOrigin), SITES[origin])
      assert.equal(plain(answer, ATTRIBUTE.OtherAddress), SITES[index ^ 3])
    })
  })
}

test('RFC 5780 §6.1: RESPONSE-ORIGIN, OTHER-ADDRESS and both mapped addresses are in every answer', () => {
  const answer = ask(discovering(), 1)!
  const mapped = new TransportAddress()
  assert.ok(readXorAddress(answer.reader, answer.reader.find(ATTRIBUTE.XorMappedAddress), mapped))
  assert.equal(formatAddress(mapped), CLIENT)
  assert.equal(plain(answer, ATTRIBUTE.MappedAddress), CLIENT)
  assert.equal(plain(answer, ATTRIBUTE.ResponseOrigin), SITES[0])
  assert.equal(plain(answer, ATTRIBUTE.OtherAddress), SITES[3])
  assert.ok(answer.bytes.length <= 3.4 * answer.asked)
})

test('RFC 5780 §6.1: behind a 1:1 NAT clients are told the public addresses', () => {
  const addresses = [
    { bind: '10.0.0.1', advertise: '192.0.2.1' },
    { bind: '10.0.0.2', advertise: '192.0.2.2' },
  ]
  const local = SITES.map((site) => site.replace('192.0.2.', '10.0.0.'))
  const answer = ask(discovering(local, { natDiscovery: { ...natDiscovery, addresses } }), 1, change(6))!
  assert.deepEqual([answer.link, plain(answer, ATTRIBUTE.ResponseOrigin)], [4, SITES[3]])
})

test('RFC 5780 §6: without addresses of its own, the first two of the relay of one family take part', () => {
  const ports = { natDiscovery: { ports: [3478, 3479] } }
  const pair = (advertise: string, bind = advertise) => ({ bind, advertise })
  const addresses = [pair('2001:db8::1'), pair('192.0.2.9', '0.0.0.0'), pair('192.0.2.1'), pair('192.0.2.2')]
  const answer = ask(discovering(SITES, { ...ports, relay: { addresses } }), 1, change(6))!
  assert.deepEqual([answer.link, plain(answer, ATTRIBUTE.ResponseOrigin)], [4, SITES[3]])
  const one = discovering(SITES, { ...ports, relay: { addresses: addresses.slice(0, 3) } })
  assert.equal(ask(one, 1, change(6))!.code, 420)
})

test('RFC 5780 §6: without all four listeners there is no OTHER-ADDRESS and CHANGE-REQUEST gets 420', () => {
  const harness = discovering(SITES.slice(0, 3))
  const refused = ask(harness, 1, change(4))!
  assert.equal(refused.code, 420)
  assert.deepEqual(readTypeList(refused.reader, refused.reader.find(ATTRIBUTE.UnknownAttributes)), [
    ATTRIBUTE.ChangeRequest,
  ])
  assert.equal(plain(ask(harness, 1)!, ATTRIBUTE.OtherAddress), undefined)
  harness.addLink(4, 'udp', SITES[3])
  assert.equal(ask(harness, 1, change(4))!.code, 0)
  harness.server.removeLink(2, harness.now)
  assert.equal(ask(harness, 1, change(4))!.code, 420)
})

test('RFC 5780 §6: a listener elsewhere has no other address', () => {
  const harness = discovering()
  harness.addLink(9, 'udp', '192.0.2.1:5000')
  assert.equal(ask(harness, 9, change(4))!.code, 420)
  assert.ok(ask(harness, 9)!.bytes.length <= 1.6 * 20)
})

test('RFC 5780 §3: a stream is answered by itself; it learns the other address where one listens for streams', () => {
  const listeners = SITES.map((site) => {
    const { 0: host, 1: port } = site.split(':')
    return { protocol: 'tcp' as const, address: host!, port: Number(port) }
  })
  const harness = discovering(SITES, { listeners })
  harness.addLink(7, 'tcp', SITES[1], CLIENT)
  harness.addLink(8, 'tls', SITES[1], CLIENT)
  const answer = ask(harness, 7)!
  assert.deepEqual([answer.link, plain(answer, ATTRIBUTE.ResponseOrigin)], [7, SITES[1]])
  assert.equal(plain(answer, ATTRIBUTE.OtherAddress), SITES[2])
  for (const attribute of [change(4), responsePort(5000), padding(100)]) {
    assert.equal(ask(harness, 7, attribute)!.code, 420)
  }
  assert.equal(plain(ask(harness, 8)!, ATTRIBUTE.OtherAddress), undefined, 'nothing listens for TLS there')
})

test('RFC 5780 §7.5: RESPONSE-PORT moves the answer to another port of the same address', () => {
  const answer = ask(discovering(), 1, responsePort(5000))!
  assert.deepEqual([answer.code, answer.link, answer.to], [0, 1, '198.51.100.7:5000'])
  const mapped = plain(answer, ATTRIBUTE.MappedAddress)
  assert.equal(mapped, CLIENT)
})

for (const port of [0, 53, 1023]) {
  test(`RFC 5780 §10: no answer can be turned to port ${port} of another`, () => {
    const answer = ask(discovering(), 1, responsePort(port))!
    assert.deepEqual([answer.code, answer.to], [400, CLIENT])
  })
}

test('RFC 5780 §7.6: PADDING is answered with PADDING, never longer than that of the request nor than an MTU', () => {
  for (const [asked, given] of [
    [0, 0],
    [1, 0],
    [7, 4],
    [1000, 1000],
    [1500, 1500],
    [1900, 1500],
  ] as const) {
    const answer = ask(discovering(), 1, padding(asked))!
    const index = answer.reader.find(ATTRIBUTE.Padding)
    assert.equal(answer.reader.valueLength(index), given)
    if (asked >= 1000) assert.ok(answer.bytes.length <= 1.6 * answer.asked)
  }
})

test('RFC 5780 §6.1, §10: PADDING with RESPONSE-PORT gets 400', () => {
  const both = (writer: StunWriter) => {
    padding(100)(writer)
    responsePort(5000)(writer)
  }
  assert.equal(ask(discovering(), 1, both)!.code, 400)
})

test('RFC 5780 §7.2, §7.5: attributes of a wrong length get 400', () => {
  for (const type of [ATTRIBUTE.ChangeRequest, ATTRIBUTE.ResponsePort]) {
    assert.equal(ask(discovering(), 1, (writer) => writer.addBytes(type, new Uint8Array(3)))!.code, 400)
  }
})

test('RFC 5780 §7: its attributes are for Binding only', () => {
  const client = discovering().client()
  const answer = client.ask(METHOD.Allocate, { attributes: change(6) })
  assert.equal(answer?.code, 401)
  const allocate = client.allocate((writer) => change(6)(writer))
  assert.deepEqual([allocate?.code, allocate?.unknown], [420, [ATTRIBUTE.ChangeRequest]])
})

test('answers by any of the four listeners count against one budget of their source', () => {
  const limits = { unauthenticatedResponsesPerSecondPerAddress: 10 }
  const harness = discovering(SITES, { limits })
  const answers = Array.from({ length: 40 }, (_, i) =>
    ask(harness, 1 + (i % 4), change(i % 8), `198.51.100.7:${4000 + i}`),
  )
  assert.equal(answers.filter((answer) => answer).length, 10)
})

test('the addresses of NAT discovery are no peers', () => {
  const addresses = [{ advertise: '8.8.8.1' }, { advertise: '8.8.8.2' }]
  const client = discovering(SITES, { natDiscovery: { ...natDiscovery, addresses } }).client()
  client.allocate()
  assert.equal(client.permit('8.8.8.2:9')?.code, 403)
  assert.equal(client.permit('8.8.8.3:9')?.code, 0)
})
