import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TransportAddress } from '../../relay/stun/address.ts'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { CLASS, METHOD } from '../../relay/stun/methods.ts'
import { StunReader } from '../../relay/stun/reader.ts'
import { StunWriter } from '../../relay/stun/writer.ts'
import { HEAD_ROOM_BYTES, TAIL_ROOM_BYTES } from '../../relay/turn/contract.ts'
import { address, request, TurnHarness, USER } from '../support/turn-harness.ts'

function calling() {
  const harness = new TurnHarness()
  const client = harness.client()
  const relayed = client.allocate()!.relayed![0]!
  client.permit('9.9.9.9:1')
  client.bind(0x4000, '8.8.8.8:5000')
  return { harness, client, relayed }
}

/** The call goes on as if nothing had come. */
function assertUnharmed({ harness, client }: ReturnType<typeof calling>): void {
  assert.ok(client.channelData(0x4000, 'x'))
  assert.deepEqual([harness.server.permissionCount, harness.server.channelCount], [2, 1])
  assert.equal(client.refresh()?.code, 0)
}

const LONG = new Uint8Array(764).fill(0x61)
const EMPTY = new Uint8Array(0)
const CREDENTIALS: readonly [name: string, attribute: number, value: Uint8Array, code: number][] = [
  ['RFC 8489 §14.3: an empty USERNAME', ATTRIBUTE.Username, EMPTY, 400],
  ['RFC 8489 §14.3: a USERNAME of 509 bytes', ATTRIBUTE.Username, LONG.subarray(0, 509), 400],
  ['RFC 8489 §14.10: an empty NONCE', ATTRIBUTE.Nonce, EMPTY, 400],
  ['RFC 8489 §14.10: a NONCE of 764 bytes', ATTRIBUTE.Nonce, LONG, 400],
  ['RFC 8489 §14.10: a NONCE that is not text', ATTRIBUTE.Nonce, Uint8Array.of(0xff, 0xfe), 400],
]
for (const [name, attribute, value, code] of CREDENTIALS) {
  test(`${name} is answered ${code}, the first of duplicates counting`, () => {
    const call = calling()
    const { client } = call
    const answer = client.request(METHOD.Refresh, (writer) => writer.addBytes(attribute, value))
    assert.equal(answer?.code, code)
    assertUnharmed(call)
  })
}

test('RFC 8489 §14.9: a REALM of any length and form changes nothing', () => {
  const call = calling()
  for (const realm of [EMPTY, LONG, Uint8Array.of(0xff), new Uint8Array(1200)]) {
    const answer = call.client.request(METHOD.Refresh, (writer) => writer.addBytes(ATTRIBUTE.Realm, realm))
    assert.ok(answer && [0, 400, 401].includes(answer.code))
  }
  assertUnharmed(call)
})

const ADDRESSES: readonly [name: string, value: Uint8Array][] = [
  ['family 0', Uint8Array.of(0, 0, 0x32, 0x9a, 0x29, 0x1a, 0xac, 0x4a)],
  ['family 3', Uint8Array.of(0, 3, 0x32, 0x9a, 0x29, 0x1a, 0xac, 0x4a)],
  ['IPv4 in seven bytes', Uint8Array.of(0, 1, 0x32, 0x9a, 0x29, 0x1a, 0xac)],
  ['IPv4 in twelve bytes', Uint8Array.of(0, 1, 0x32, 0x9a, 0x29, 0x1a, 0xac, 0x4a, 0, 0, 0, 0)],
  ['IPv6 in eight bytes', Uint8Array.of(0, 2, 0x32, 0x9a, 0x29, 0x1a, 0xac, 0x4a)],
  ['no bytes', EMPTY],
]
for (const [name, value] of ADDRESSES) {
  test(`RFC 8489 §14.2: XOR-PEER-ADDRESS with ${name} is answered 400, in an indication not at all`, () => {
    const call = calling()
    const { harness, client } = call
    const broken = (writer: StunWriter) => writer.addBytes(ATTRIBUTE.XorPeerAddress, value)
    assert.equal(client.request(METHOD.CreatePermission, (w) => void broken(w))?.code, 400)
    assert.equal(
      client.request(METHOD.ChannelBind, (w) => void broken(w.addChannelNumber(0x4001)))?.code,
      400,
    )
    const mixed = client.request(METHOD.CreatePermission, (writer) => {
      broken(writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address('1.1.1.1:1')))
    })
    assert.equal(mixed?.code, 400)
    const send = broken(new StunWriter().start(METHOD.Send, CLASS.Indication, new Uint8Array(12)))
    assert.equal(harness.fromClient(client.from, send.addText(ATTRIBUTE.Data, 'x').finish()), undefined)
    assertUnharmed(call)
  })
}

const SIZES: readonly [attribute: number, bytes: number][] = [
  [ATTRIBUTE.Lifetime, 3],
  [ATTRIBUTE.Lifetime, 8],
  [ATTRIBUTE.Lifetime, 0],
  [ATTRIBUTE.RequestedAddressFamily, 1],
]
for (const [attribute, bytes] of SIZES) {
  test(`RFC 8656 §18: attribute 0x${attribute.toString(16)} of ${bytes} bytes in a Refresh is answered 400`, () => {
    const call = calling()
    const answer = call.client.request(
      METHOD.Refresh,
      (w) => void w.addBytes(attribute, new Uint8Array(bytes)),
    )
    assert.equal(answer?.code, 400)
    assertUnharmed(call)
  })
}

for (const bytes of [0, 2, 8]) {
  test(`RFC 8656 §18.1: CHANNEL-NUMBER of ${bytes} bytes is answered 400`, () => {
    const call = calling()
    const answer = call.client.request(METHOD.ChannelBind, (writer) => {
      writer.addBytes(ATTRIBUTE.ChannelNumber, new Uint8Array(bytes).fill(0x40))
      writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address('1.1.1.1:5000'))
    })
    assert.equal(answer?.code, 400)
    assertUnharmed(call)
  })
}

test('RFC 8489 §14: of duplicates the first counts', () => {
  const { harness, client } = calling()
  const lifetime = client.request(METHOD.Refresh, (writer) => {
    writer.addUint32(ATTRIBUTE.Lifetime, 1200).addUint32(ATTRIBUTE.Lifetime, 0)
  })
  assert.equal(lifetime?.lifetime, 1200)
  const bind = client.request(METHOD.ChannelBind, (writer) => {
    writer.addChannelNumber(0x4001).addChannelNumber(0x3fff)
    writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address('1.1.1.1:5000'))
    writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address('10.0.0.1:5000'))
  })
  assert.equal(bind?.code, 0)
  assert.equal(client.channelData(0x4001, 'x')?.to, '1.1.1.1:5000')
  assert.equal(harness.server.permissionCount, 3)
})

const HEADERS: readonly [name: string, length: number, tail: number][] = [
  ['four bytes more than it says', 0, 4],
  ['four bytes less than it says', 4, 0],
  ['a length of 1', 1, 1],
  ['a length of 2', 2, 2],
  ['a length of 3 and four bytes', 3, 4],
  ['a length of 65,535', 65_535, 0],
]
for (const [name, length, tail] of HEADERS) {
  test(`RFC 8489 §5: a message with ${name} is dropped, without FINGERPRINT too`, () => {
    const { harness } = calling()
    const bytes = new Uint8Array([...request(METHOD.Binding), ...new Uint8Array(tail)])
    new DataView(bytes.buffer).setUint16(2, length)
    harness.fromClient('198.51.100.66:1', bytes)
    assert.deepEqual(harness.drain(), [])
  })
}

test('RFC 8489 §14.14: a SOFTWARE of any length and form changes nothing', () => {
  const call = calling()
  for (const value of [EMPTY, LONG, new Uint8Array(1200).fill(0xff)]) {
    const answer = call.client.request(METHOD.Refresh, (w) => void w.addBytes(ATTRIBUTE.Software, value))
    assert.equal(answer?.code, 0)
  }
  assertUnharmed(call)
})

test('RFC 8489 §14.8: attributes of responses in a request are no way in', () => {
  const { client } = calling()
  const answer = client.request(METHOD.Refresh, (writer) => {
    writer.addErrorCode(401).addXorAddress(ATTRIBUTE.XorRelayedAddress, address('1.1.1.1:1'))
    writer
      .addXorAddress(ATTRIBUTE.XorMappedAddress, address('1.1.1.1:1'))
      .addText(ATTRIBUTE.Software, 'x'.repeat(1000))
  })
  assert.equal(answer?.code, 0)
})

test('RFC 8489 §6.3.1: as many unknown attributes as a message may carry make an answer shorter than the question', () => {
  const { harness } = calling()
  const bytes = request(METHOD.Binding, {
    attributes: (writer) => {
      for (let i = 0; i < 128; i++) writer.addFlag(0x7000 + i)
    },
  })
  harness.fromClient('198.51.100.66:1', bytes)
  const [answer] = harness.drain()
  assert.equal(answer?.code, 420)
  assert.equal(answer.unknown?.length, 128)
  assert.ok(answer.bytes.length < bytes.length)
})

test('CVE-2020-4067: padding is zero, whatever the memory held before', () => {
  const { harness, client } = calling()
  const odd = new TurnHarness({ realm: 'five!', software: 'x' })
  client.allocate((writer) => writer.addText(ATTRIBUTE.Software, '\u00ff'.repeat(200)))
  const answers = [
    ...harness.heard,
    odd.client().ask(METHOD.Allocate)!,
    odd.client().ask(METHOD.Binding, { attributes: (writer) => writer.addFlag(0x7001) })!,
  ].map(({ bytes }) => bytes)
  const [socket] = harness.bound.keys()
  for (const peer of ['9.9.9.9:6000', '8.8.8.8:5000']) {
    for (const length of [1, 2, 3, 5]) answers.push(fromDirtyMemory(harness, socket!, address(peer), length))
  }
  for (const bytes of answers) if (bytes[0]! < 0x40) assertZeroPadding(bytes)
})

function fromDirtyMemory(harness: TurnHarness, socket: number, peer: TransportAddress, length: number) {
  const buffer = new Uint8Array(HEAD_ROOM_BYTES + length + TAIL_ROOM_BYTES).fill(0xee)
  const forward = harness.server.handlePeerData(socket, peer, buffer, HEAD_ROOM_BYTES, length, harness.now)
  assert.ok(forward)
  return buffer.slice(forward.offset, forward.offset + forward.length)
}

function assertZeroPadding(bytes: Uint8Array): void {
  const reader = new StunReader()
  assert.equal(reader.read(bytes, 0, bytes.length), 'ok')
  for (let i = 0; i < reader.attributeCount; i++) {
    const end = reader.valueOffset(i) + reader.valueLength(i)
    for (let at = end; at % 4 !== 0; at++) assert.equal(bytes[at], 0)
  }
}

test('RFC 8265: a username that normalisation changes is another one on the wire', () => {
  const client = new TurnHarness({
    credentials: { users: [{ username: 'j\u00fcrgen', password: 'x' }] },
  }).client()
  const as = (username: string) => client.allocate(undefined, { user: { username, password: 'x' } })?.code
  assert.equal(as('ju\u0308rgen'), 401)
  assert.equal(as('J\u00fcrgen'), 401)
  assert.equal(as('j\u00fcrgen'), 0)
})

test('a good client beside a flood of broken datagrams never notices', () => {
  const call = calling()
  const good = request(METHOD.CreatePermission, {
    user: USER,
    nonce: call.client.nonce,
    attributes: (writer) => void writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address('1.1.1.1:1')),
  })
  for (let cut = 0; cut < good.length; cut++) {
    call.harness.fromClient(call.client.from, good.subarray(0, cut))
    call.harness.fromClient(call.client.from, good.with(cut, good[cut]! ^ 0x80))
    assert.ok(call.client.channelData(0x4000, 'x'))
  }
  call.harness.drain()
  assertUnharmed(call)
})
