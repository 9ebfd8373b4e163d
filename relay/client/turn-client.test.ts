import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { nodeCrypto as crypto } from '../io/node-crypto.ts'
import { TransportAddress } from '../stun/address.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { readText, readUint32Value, readXorAddress } from '../stun/attributes.ts'
import { longTermKey } from '../stun/integrity.ts'
import { CLASS, METHOD } from '../stun/methods.ts'
import { StunReader } from '../stun/reader.ts'
import { StunWriter } from '../stun/writer.ts'
import type { ClientEvent } from './contract.ts'
import { AUTHENTICATION_RETRIES_MAX, TurnClient } from './turn-client.ts'

const KEY = longTermKey(crypto, 'alice', 'example.org', 'secret')
const PEER = new TransportAddress().set4(0xc0000205, 4000)
const RELAYED = new TransportAddress().set4(0xcb007101, 50_000)
const MAPPED = new TransportAddress().set4(0xc6336401, 1234)

function client(transport: 'udp' | 'tcp' = 'udp', password = 'secret'): TurnClient {
  return new TurnClient({ transport, username: 'alice', password, crypto })
}

/** The next packet, which must be a request, read. */
function request(from: TurnClient): StunReader {
  const bytes = from.nextTransmit()
  assert.ok(bytes, 'a request is sent')
  const reader = new StunReader()
  assert.equal(reader.read(bytes, 0, bytes.length), 'ok')
  return reader
}

function answer(to: TurnClient, bytes: Uint8Array, now = 0): void {
  to.handleData(bytes, 0, bytes.length, now)
}

function events(of: TurnClient): ClientEvent[] {
  const all: ClientEvent[] = []
  for (let event = of.nextEvent(); event; event = of.nextEvent()) all.push(event)
  return all
}

function challenge(reader: StunReader, code = 401, nonce = 'n1'): Uint8Array {
  return new StunWriter()
    .startError(reader, code)
    .addText(ATTRIBUTE.Realm, 'example.org')
    .addText(ATTRIBUTE.Nonce, nonce)
    .finish()
}

function allocated(reader: StunReader, key = KEY): Uint8Array {
  return new StunWriter()
    .startSuccess(reader)
    .addXorAddress(ATTRIBUTE.XorRelayedAddress, RELAYED)
    .addXorAddress(ATTRIBUTE.XorMappedAddress, MAPPED)
    .addUint32(ATTRIBUTE.Lifetime, 600)
    .finish({ integrityKey: key, crypto })
}

/** A client with an allocation, its queues empty. */
function allocatedClient(transport: 'udp' | 'tcp' = 'udp'): TurnClient {
  const turn = client(transport)
  turn.allocate(0)
  answer(turn, challenge(request(turn)))
  answer(turn, allocated(request(turn)))
  assert.equal(events(turn)[0]?.kind, 'allocated')
  return turn
}

test('Allocate answers the challenge and reports the relayed address', () => {
  const turn = client()
  turn.allocate(0, { lifetimeSeconds: 900, family: 6 })
  const first = request(turn)
  assert.equal(first.method, METHOD.Allocate)
  assert.equal(first.hasIntegrity, false)
  assert.equal(first.value(first.find(ATTRIBUTE.RequestedTransport))[0], 17)
  assert.equal(first.value(first.find(ATTRIBUTE.RequestedAddressFamily))[0], 2)
  answer(turn, challenge(first))
  const second = request(turn)
  assert.equal(readText(second, second.find(ATTRIBUTE.Username), 508), 'alice')
  assert.equal(readText(second, second.find(ATTRIBUTE.Nonce), 508), 'n1')
  assert.equal(readUint32Value(second, second.find(ATTRIBUTE.Lifetime)), 900)
  assert.ok(second.verifyIntegrity(KEY, crypto))
  assert.notDeepEqual(first.copyTransactionId(), second.copyTransactionId())
  answer(turn, allocated(second))
  assert.deepEqual(events(turn), [
    { kind: 'allocated', relayed: [RELAYED], mapped: MAPPED, lifetimeSeconds: 600 },
  ])
  assert.equal(turn.pollTimeout(), Number.POSITIVE_INFINITY)
})

test('a second 401 means that the credential is wrong', () => {
  const turn = client()
  turn.allocate(0)
  answer(turn, challenge(request(turn)))
  answer(turn, challenge(request(turn), 401, 'n2'))
  assert.deepEqual(events(turn), [
    { kind: 'failed', step: 'allocate', cause: 'refused', code: 401, reason: '' },
  ])
  assert.equal(turn.nextTransmit(), undefined)
})

test('a stale nonce is replaced, but not for ever', () => {
  const turn = allocatedClient()
  turn.refresh(0)
  answer(turn, challenge(request(turn), 438, 'n2'))
  const renewed = request(turn)
  assert.equal(readText(renewed, renewed.find(ATTRIBUTE.Nonce), 508), 'n2')
  let last = renewed
  for (let i = 1; i < AUTHENTICATION_RETRIES_MAX; i++) {
    answer(turn, challenge(last, 438))
    last = request(turn)
  }
  answer(turn, challenge(last, 438))
  const [failed] = events(turn)
  assert.ok(failed?.kind === 'failed' && failed.code === 438 && failed.step === 'refresh')
  assert.equal(turn.nextTransmit(), undefined)
})

test('a success without the right integrity counts as never received', () => {
  const turn = client()
  turn.allocate(0)
  answer(turn, challenge(request(turn)))
  const signed = request(turn)
  answer(turn, allocated(signed, longTermKey(crypto, 'mallory', 'example.org', 'x')))
  answer(
    turn,
    new StunWriter().startSuccess(signed).addXorAddress(ATTRIBUTE.XorRelayedAddress, PEER).finish(),
  )
  assert.deepEqual(events(turn), [])
  answer(turn, allocated(signed))
  assert.equal(events(turn)[0]?.kind, 'allocated')
})

test('an answer to nothing, with another method, or twice changes nothing', () => {
  const turn = client()
  turn.allocate(0)
  const first = request(turn)
  answer(turn, new StunWriter().start(METHOD.Allocate, CLASS.Success, new Uint8Array(12)).finish())
  answer(turn, new StunWriter().startWords(METHOD.Refresh, CLASS.Error, first).addErrorCode(437).finish())
  assert.deepEqual(events(turn), [])
  answer(turn, challenge(first))
  const second = request(turn)
  answer(turn, allocated(second))
  answer(turn, allocated(second))
  assert.equal(events(turn).length, 1)
})

test('a 300 tells where to go', () => {
  const turn = client()
  turn.allocate(0)
  const alternate = new TransportAddress().set6(0x20010db8, 0, 0, 1, 3478)
  const bytes = new StunWriter()
    .startError(request(turn), 300, 'Try Alternate')
    .addAddress(ATTRIBUTE.AlternateServer, alternate)
    .finish()
  answer(turn, bytes)
  assert.deepEqual(events(turn), [
    { kind: 'failed', step: 'allocate', cause: 'refused', code: 300, reason: 'Try Alternate', alternate },
  ])
})

test('a success that lacks its attributes is malformed, not a crash', () => {
  const turn = client()
  turn.binding(0)
  answer(turn, new StunWriter().startSuccess(request(turn)).finish())
  const [failed] = events(turn)
  assert.ok(failed?.kind === 'failed' && failed.cause === 'malformed' && failed.step === 'binding')
})

test('over UDP a request is sent at the times of RFC 8489 §6.2.1', () => {
  const turn = client()
  turn.binding(1000)
  const sent = [1000]
  assert.ok(turn.nextTransmit())
  while (turn.pollTimeout() < Number.POSITIVE_INFINITY) {
    const now = turn.pollTimeout()
    turn.handleTimeout(now)
    if (turn.nextTransmit()) sent.push(now)
    else assert.equal(now, 1000 + 39_500)
  }
  assert.deepEqual(sent, [1000, 1500, 2500, 4500, 8500, 16_500, 32_500])
  assert.deepEqual(
    events(turn).map((event) => event.kind === 'failed' && event.cause),
    ['timeout'],
  )
})

test('over a stream a request is sent once', () => {
  const turn = client('tcp')
  turn.allocate(0)
  assert.ok(turn.nextTransmit())
  assert.equal(turn.pollTimeout(), 39_500)
  turn.handleTimeout(39_499)
  assert.deepEqual(events(turn), [])
  turn.handleTimeout(39_500)
  assert.equal(turn.nextTransmit(), undefined)
  assert.equal(events(turn)[0]?.kind, 'failed')
})

test('permissions, channels and data in both forms', () => {
  const turn = allocatedClient()
  turn.createPermission(0, [PEER, RELAYED])
  const permission = request(turn)
  const asked = new TransportAddress()
  assert.ok(
    readXorAddress(permission, permission.find(ATTRIBUTE.XorPeerAddress), asked) && asked.equals(PEER),
  )
  const close = { integrityKey: KEY, crypto }
  answer(turn, new StunWriter().startSuccess(permission).finish(close))
  turn.bindChannel(0, 0x4001, PEER)
  answer(turn, new StunWriter().startSuccess(request(turn)).finish(close))
  assert.deepEqual(events(turn), [
    { kind: 'permitted', peers: [PEER, RELAYED] },
    { kind: 'bound', channel: 0x4001, peer: PEER },
  ])

  turn.sendIndication(PEER, Uint8Array.of(1, 2, 3))
  const indication = request(turn)
  assert.equal(indication.method, METHOD.Send)
  assert.equal(indication.messageClass, CLASS.Indication)
  assert.deepEqual([...indication.value(indication.find(ATTRIBUTE.Data))], [1, 2, 3])

  turn.sendChannel(0x4001, Uint8Array.of(9))
  assert.deepEqual([...turn.nextTransmit()!], [0x40, 0x01, 0, 1, 9])

  answer(turn, Uint8Array.of(0x40, 0x01, 0, 2, 7, 8, 0, 0))
  answer(turn, Uint8Array.of(0x40, 0x02, 0, 1, 7))
  answer(turn, Uint8Array.of(0x40, 0x01, 0, 9, 7))
  const data = new StunWriter()
    .start(METHOD.Data, CLASS.Indication, new Uint8Array(12))
    .addXorAddress(ATTRIBUTE.XorPeerAddress, RELAYED)
    .addBytes(ATTRIBUTE.Data, Uint8Array.of(5))
    .finish()
  answer(turn, data)
  assert.deepEqual(
    events(turn).map((event) => event.kind === 'data' && [event.peer, [...event.data]]),
    [
      [PEER, [7, 8]],
      [RELAYED, [5]],
    ],
  )
})

test('ChannelData is padded over a stream', () => {
  const turn = allocatedClient('tcp')
  turn.sendChannel(0x4001, Uint8Array.of(9))
  assert.deepEqual([...turn.nextTransmit()!], [0x40, 0x01, 0, 1, 9, 0, 0, 0])
})

test('a Refresh renews, and with lifetime 0 gives the allocation back', () => {
  const turn = allocatedClient()
  turn.refresh(0, 1200)
  const close = { integrityKey: KEY, crypto }
  answer(turn, new StunWriter().startSuccess(request(turn)).addUint32(ATTRIBUTE.Lifetime, 1200).finish(close))
  turn.refresh(0, 0)
  answer(turn, new StunWriter().startSuccess(request(turn)).addUint32(ATTRIBUTE.Lifetime, 0).finish(close))
  assert.deepEqual(events(turn), [{ kind: 'refreshed', lifetimeSeconds: 1200 }, { kind: 'closed' }])
})

test('whatever a server sends, the client neither throws nor stops', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 8 }), fc.nat(120), (noise, at) => {
      const turn = client()
      turn.allocate(0)
      const first = request(turn)
      const broken = challenge(first)
      broken[at % broken.length]! ^= 0x11
      for (const bytes of [...noise, broken]) answer(turn, bytes)
      turn.handleTimeout(100_000)
      turn.allocate(100_000)
      events(turn)
    }),
  )
})
