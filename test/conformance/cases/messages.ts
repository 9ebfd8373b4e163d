import { randomBytes } from 'node:crypto'
import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import { ERROR } from '../../../relay/stun/error-codes.ts'
import { CLASS, METHOD } from '../../../relay/stun/methods.ts'
import {
  type Attribute,
  addressesOf,
  attributeOf,
  encode,
  has,
  hasRightFingerprint,
  uint32,
} from '../../support/stun-message.ts'
import { Broken, type ConformanceCase } from '../case.ts'
import { UDP } from '../client.ts'
import { expect, expectCode, expectSuccess, sameEndpoint, text } from '../trial.ts'

const UNKNOWN_REQUIRED = [0x7abc, 0x7abd]
const UNKNOWN_OPTIONAL = 0xfabc
const UNKNOWN_METHOD = 0x7ab
/** A datagram that is no STUN message ends a stream, where the next one would be sought. */
const DATAGRAMS = ['udp'] as const

const binding = (more: { attributes?: Attribute[]; fingerprint?: boolean } = {}) =>
  encode({ method: METHOD.Binding, class: CLASS.Request, ...more })

/** STUN messages: RFC 8489 §5, §6 and §7. */
export const MESSAGES: readonly ConformanceCase[] = [
  {
    id: 'binding/mapped-address',
    section: 'RFC 8489 §6.3.1.1',
    level: 'MUST',
    rule: 'A Binding success carries the source of the request in XOR-MAPPED-ADDRESS.',
    async run(trial) {
      const client = await trial.client()
      const first = await client.ask(METHOD.Binding)
      expectSuccess(first)
      const [mapped] = addressesOf(first, ATTRIBUTE.XorMappedAddress)
      if (!mapped) throw new Broken('a success without XOR-MAPPED-ADDRESS')
      const [again] = addressesOf(await client.ask(METHOD.Binding), ATTRIBUTE.XorMappedAddress)
      expect(sameEndpoint(again, mapped), `${text(mapped)} first, then ${again ? text(again) : 'none'}`)
      const direct = mapped.ip === client.wire.local.ip
      expect(
        !direct || mapped.port === client.wire.local.port,
        `${text(mapped)} for ${text(client.wire.local)}`,
      )
      return 'the source of the request'
    },
  },
  {
    id: 'binding/fingerprint',
    section: 'RFC 8489 §14.7',
    level: 'MUST',
    rule: 'A FINGERPRINT in a response is its last attribute, and right.',
    async run(trial) {
      const client = await trial.client()
      const answer = await client.exchange(binding({ fingerprint: true }))
      expectSuccess(answer)
      if (!has(answer, ATTRIBUTE.Fingerprint)) return 'no FINGERPRINT'
      expect(hasRightFingerprint(answer), 'a wrong FINGERPRINT')
      return 'a right FINGERPRINT'
    },
  },
  {
    id: 'binding/wrong-fingerprint',
    section: 'RFC 8489 §6.3',
    level: 'MUST',
    rule: 'A request with a wrong FINGERPRINT is silently discarded.',
    over: DATAGRAMS,
    async run(trial) {
      const bytes = binding({ fingerprint: true })
      bytes[bytes.length - 1] = bytes.at(-1)! ^ 1
      return (await trial.client()).silence(bytes)
    },
  },
  {
    id: 'binding/unknown-required',
    section: 'RFC 8489 §6.3.1',
    level: 'MUST',
    rule: 'Unknown comprehension-required attributes are answered 420 with all of them in UNKNOWN-ATTRIBUTES.',
    async run(trial) {
      const client = await trial.client()
      const answer = await client.ask(
        METHOD.Binding,
        UNKNOWN_REQUIRED.map((type) => [type, Buffer.alloc(4)] as const),
      )
      const code = expectCode(answer, ERROR.UnknownAttribute)
      const list = attributeOf(answer, ATTRIBUTE.UnknownAttributes) ?? Buffer.alloc(0)
      const named = UNKNOWN_REQUIRED.filter((_, i) =>
        UNKNOWN_REQUIRED.some((type) => list.length >= 2 * i + 2 && list.readUInt16BE(2 * i) === type),
      )
      expect(
        list.length === 4 && named.length === 2,
        `${code} with UNKNOWN-ATTRIBUTES ${list.toString('hex') || 'missing'}`,
      )
      return `${code} with both`
    },
  },
  {
    id: 'binding/unknown-optional',
    section: 'RFC 8489 §6.3',
    level: 'MUST',
    rule: 'Unknown comprehension-optional attributes are ignored.',
    async run(trial) {
      return expectSuccess(
        await (await trial.client()).ask(METHOD.Binding, [[UNKNOWN_OPTIONAL, Buffer.from('x')]]),
      )
    },
  },
  {
    id: 'binding/unexpected-known',
    section: 'RFC 8489 §6.3',
    level: 'SHOULD',
    rule: 'Known attributes that do not belong to the method are ignored.',
    async run(trial) {
      return expectSuccess(
        await (await trial.client()).ask(METHOD.Binding, [[ATTRIBUTE.Lifetime, uint32(600)]]),
      )
    },
  },
  {
    id: 'binding/indication',
    section: 'RFC 8489 §6.3.2',
    level: 'MUST',
    rule: 'No response is generated for an indication.',
    async run(trial) {
      return (await trial.client()).silence(encode({ method: METHOD.Binding, class: CLASS.Indication }))
    },
  },
  ...[CLASS.Success, CLASS.Error].map(
    (one): ConformanceCase => ({
      id: `binding/stray-${one === CLASS.Success ? 'success' : 'error'}`,
      section: 'RFC 8489 §6.3',
      level: 'MUST',
      rule: `A${one === CLASS.Success ? ' success' : 'n error'} response to no request of the server is silently discarded.`,
      async run(trial) {
        return (await trial.client()).silence(encode({ method: METHOD.Binding, class: one }))
      },
    }),
  ),
  {
    id: 'message/unknown-method',
    section: 'RFC 8489 §6.3',
    level: 'MUST',
    rule: 'A request of an unknown method is silently discarded.',
    async run(trial) {
      return (await trial.client()).silence(encode({ method: UNKNOWN_METHOD, class: CLASS.Request }))
    },
  },
  {
    id: 'message/class-not-allowed',
    section: 'RFC 8489 §6.3',
    level: 'MUST',
    rule: 'A Send request is silently discarded: Send is an indication only.',
    async run(trial) {
      return (await trial.client()).silence(encode({ method: METHOD.Send, class: CLASS.Request }))
    },
  },
  {
    id: 'message/magic-cookie',
    section: 'RFC 8656 §5',
    level: 'MUST',
    rule: 'An Allocate without the magic cookie is discarded: TURN has no compatibility with RFC 3489.',
    over: DATAGRAMS,
    async run(trial) {
      const bytes = encode({ method: METHOD.Allocate, class: CLASS.Request, attributes: [UDP] })
      bytes.writeUInt32BE(0x12345678, 4)
      return (await trial.client()).silence(bytes)
    },
  },
  {
    id: 'message/first-bits',
    section: 'RFC 8489 §6.3',
    level: 'MUST',
    rule: 'A message whose first two bits are not zero is no STUN message.',
    over: DATAGRAMS,
    async run(trial) {
      const bytes = binding()
      bytes[0] = 0xc0
      return (await trial.client()).silence(bytes)
    },
  },
  {
    id: 'message/length-not-aligned',
    section: 'RFC 8489 §5',
    level: 'MUST',
    rule: 'A message whose length is not a multiple of four is silently discarded.',
    over: DATAGRAMS,
    async run(trial) {
      const bytes = Buffer.concat([binding(), Buffer.from([0x80, 0x22])])
      bytes.writeUInt16BE(2, 2)
      return (await trial.client()).silence(bytes)
    },
  },
  ...([-4, 4] as const).map(
    (error): ConformanceCase => ({
      id: `message/length-too-${error < 0 ? 'short' : 'long'}`,
      section: 'RFC 8489 §6.3',
      level: 'MUST',
      rule: `A datagram whose header claims ${error < 0 ? 'less' : 'more'} than there is, is silently discarded.`,
      over: DATAGRAMS,
      async run(trial) {
        const bytes = binding({ attributes: [[ATTRIBUTE.Software, Buffer.from('conform!')]] })
        bytes.writeUInt16BE(bytes.readUInt16BE(2) + error, 2)
        return (await trial.client()).silence(bytes)
      },
    }),
  ),
  {
    id: 'message/attribute-too-long',
    section: 'RFC 8489 §6.3',
    level: 'MUST',
    rule: 'A message in which an attribute reaches past the end does not succeed.',
    over: DATAGRAMS,
    async run(trial) {
      const bytes = binding({ attributes: [[ATTRIBUTE.Software, Buffer.from('conforms')]] })
      bytes.writeUInt16BE(64, 22)
      const client = await trial.client()
      const answer = await client.tryExchange(bytes, 400)
      return answer ? expectCode(answer, ERROR.BadRequest) : 'silence'
    },
  },
  {
    id: 'message/retransmission',
    section: 'RFC 8489 §6.3.1',
    level: 'MUST',
    rule: 'A request that is sent again is answered again, alike.',
    over: DATAGRAMS,
    async run(trial) {
      const client = await trial.client()
      const request = encode({ method: METHOD.Binding, class: CLASS.Request, id: randomBytes(12) })
      const first = await client.exchange(request)
      const second = await client.exchange(request)
      expect(first.bytes.equals(second.bytes), 'two different answers')
      return 'the same answer twice'
    },
  },
  {
    id: 'message/frames',
    section: 'RFC 8489 §6.2.2',
    level: 'MUST',
    rule: 'Over a stream, messages are found by their length: one byte at a time, and ten at once.',
    over: ['tcp', 'tls'],
    async run(trial) {
      const client = await trial.client()
      const slow = binding()
      for (const byte of slow) {
        client.wire.send(Buffer.from([byte]))
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
      const took = await client.wire.take((one) => one.subarray(8, 20).equals(slow.subarray(8, 20)), 2500)
      expect(took !== undefined, 'no answer to a message in single bytes')
      const ten = Array.from({ length: 10 }, () => binding())
      client.wire.send(Buffer.concat(ten))
      for (const one of ten) {
        const answer = await client.wire.take(
          (bytes) => bytes.subarray(8, 20).equals(one.subarray(8, 20)),
          2500,
        )
        expect(answer !== undefined, 'not all of ten messages at once were answered')
      }
      return 'every one answered'
    },
  },
]
