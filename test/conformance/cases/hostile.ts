import { randomBytes } from 'node:crypto'
import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import { CLASS, METHOD } from '../../../relay/stun/methods.ts'
import { type Attribute, type Endpoint, encode } from '../../support/stun-message.ts'
import { Broken, type ConformanceCase, NotTested } from '../case.ts'
import { channelData, describe, UDP } from '../client.ts'
import { expect, expectSuccess, payload, type Trial } from '../trial.ts'
import type { Wire } from '../wire.ts'

const ROUNDS = 300
/** Streams at once: few, as servers limit those of one address. */
const CONNECTIONS = 20
const STREAMS = ['tcp', 'tls'] as const
/** What no server may reach for a stranger; a policy that allows one of them has to name it. */
const FORBIDDEN: readonly (readonly [name: string, ip: string])[] = [
  ['this host', '0.0.0.0'],
  ['multicast', '224.0.0.1'],
  ['broadcast', '255.255.255.255'],
  ['link-local and metadata', '169.254.169.254'],
]

/** What a server must survive: RFC 8656 §21, RFC 8489 §16. Each ends with a Binding that must succeed. */
export const HOSTILE: readonly ConformanceCase[] = [
  survives('random-datagrams', 'random datagrams of any length', ['udp'], () =>
    Array.from({ length: ROUNDS }, (_, i) => randomBytes((i * 37) % 1400)),
  ),
  survives('broken-messages', 'messages with random bytes changed', ['udp'], (trial) =>
    Array.from({ length: ROUNDS }, (_, i) => broken(requestOf(trial), i)),
  ),
  survives('cut-messages', 'messages cut at every length', ['udp'], (trial) => {
    const whole = requestOf(trial)
    return Array.from({ length: whole.length }, (_, length) => whole.subarray(0, length))
  }),
  survives('many-attributes', 'a message of 300 attributes', undefined, () => [
    message(Array.from({ length: 300 }, () => [ATTRIBUTE.Software, Buffer.alloc(0)])),
  ]),
  survives('long-values', 'USERNAME, REALM and NONCE of 4000 bytes', undefined, () => {
    const long = Buffer.alloc(4000, 0x61)
    return [
      message(
        [UDP, [ATTRIBUTE.Username, long], [ATTRIBUTE.Realm, long], [ATTRIBUTE.Nonce, long]],
        Buffer.alloc(16),
      ),
    ]
  }),
  survives('empty-values', 'USERNAME, REALM and NONCE without a byte', undefined, () => {
    const empty = Buffer.alloc(0)
    return [
      message(
        [UDP, [ATTRIBUTE.Username, empty], [ATTRIBUTE.Realm, empty], [ATTRIBUTE.Nonce, empty]],
        Buffer.alloc(16),
      ),
    ]
  }),
  survives('odd-user-names', 'user names that are no text, or too much of it', undefined, () =>
    [
      Buffer.from([0xff, 0xfe]),
      Buffer.from(':'),
      Buffer.from('%n%s%x'),
      Buffer.from("'; --"),
      Buffer.alloc(508, 0xc3),
    ].map((name) =>
      message(
        [
          UDP,
          [ATTRIBUTE.Username, name],
          [ATTRIBUTE.Realm, Buffer.from('x')],
          [ATTRIBUTE.Nonce, Buffer.from('x')],
        ],
        Buffer.alloc(16),
      ),
    ),
  ),
  survives('integrity-anywhere', 'MESSAGE-INTEGRITY of every length', undefined, () =>
    [0, 1, 4, 16, 19, 20, 24, 32].map((length) =>
      message([UDP, [ATTRIBUTE.MessageIntegrity, Buffer.alloc(length)]]),
    ),
  ),
  survives('malformed-values', 'attributes of the wrong length', undefined, () =>
    Object.values(ATTRIBUTE)
      .filter((type) => type !== ATTRIBUTE.Fingerprint)
      .flatMap((type) => [0, 1, 5, 64].map((length) => message([UDP, [type, Buffer.alloc(length, 0xff)]]))),
  ),
  survives('stray-channel-data', 'ChannelData of strangers', ['udp'], () =>
    [0x4000, 0x4fff, 0x5000, 0x7fff].map((number) => channelData(number, payload(100), 0)),
  ),
  {
    id: 'hostile/broken-data',
    section: 'RFC 8656 §21',
    level: 'MUST',
    rule: 'Broken Send indications and ChannelData reach nobody, and the allocation lives on.',
    over: ['udp'],
    async run(trial) {
      const { client, peer } = await trial.call()
      for (let i = 0; i < ROUNDS; i++) {
        const id = randomBytes(12)
        const send = encode({
          method: METHOD.Send,
          class: CLASS.Indication,
          id,
          attributes: [
            [ATTRIBUTE.XorPeerAddress, payload(i % 24)],
            [ATTRIBUTE.Data, payload(i % 50)],
          ],
        })
        client.wire.send(send)
        client.wire.send(channelData(0x4000 + (i % 0x1000), payload(i % 40), 0).subarray(0, 2 + (i % 30)))
      }
      return expectSuccess(await client.permit(peer.address))
    },
  },
  {
    id: 'hostile/no-loop',
    section: 'RFC 8489 §6.3',
    level: 'MUST',
    rule: 'What the server says itself is not answered when it is sent back, so that two servers cannot be set on each other.',
    async run(trial) {
      const client = await trial.client()
      const answers = [
        await client.ask(METHOD.Binding),
        await client.challenge(),
        await client.ask(METHOD.Refresh),
      ]
      for (const { bytes } of answers) await client.silence(bytes)
      return 'silence'
    },
  },
  ...FORBIDDEN.map(
    ([name, ip]): ConformanceCase => ({
      id: `hostile/peer-${name.replaceAll(' ', '-')}`,
      section: 'RFC 8656 §10.2',
      level: 'MAY',
      rule: `A permission for ${name} (${ip}) is refused.`,
      async run(trial) {
        const client = await trial.client()
        const relayed = await client.allocate()
        if (relayed.ip.includes(':')) throw new NotTested('the allocation is IPv6')
        const answer = await client.permit({ ip, port: 9 })
        expect(answer.class === CLASS.Error, `${describe(answer)} to CreatePermission`)
        return describe(answer)
      },
    }),
  ),
  {
    id: 'hostile/http',
    section: 'RFC 8489 §6.2.2',
    level: 'MUST',
    rule: 'HTTP on the port gets no STUN message for an answer, and others are served on.',
    over: STREAMS,
    async run(trial) {
      const wire = await trial.wire()
      trial.later(() => wire.close())
      wire.send(Buffer.from('GET / HTTP/1.1\r\nHost: example.org\r\n\r\n'))
      const answer = await wire.take((one) => one.readUInt32BE(4) === 0x2112a442, 400)
      expect(answer === undefined, 'a STUN message')
      return alive(trial)
    },
  },
  {
    id: 'hostile/endless-length',
    section: 'RFC 8489 §16',
    level: 'MUST',
    rule: 'Twenty connections that announce 65,532 bytes and send none cost others nothing.',
    over: STREAMS,
    async run(trial) {
      const header = message([])
      header.writeUInt16BE(0xfffc, 2)
      for (let i = 0; i < CONNECTIONS; i++) (await tryWire(trial))?.send(header)
      return alive(trial)
    },
  },
  {
    id: 'hostile/random-stream',
    section: 'RFC 8489 §16',
    level: 'MUST',
    rule: 'Streams of random bytes cost others nothing.',
    over: STREAMS,
    async run(trial) {
      for (let i = 0; i < CONNECTIONS; i++) (await tryWire(trial))?.send(randomBytes(2000))
      return alive(trial)
    },
  },
  {
    id: 'hostile/amplification',
    section: 'RFC 8489 §16.1',
    level: 'MAY',
    rule: 'The 401 is at most four times as long as the request, so that forged sources gain little.',
    over: ['udp'],
    async run(trial) {
      const client = await trial.client()
      const request = encode({ method: METHOD.Allocate, class: CLASS.Request, attributes: [UDP] })
      const answer = await client.exchange(request)
      const ratio = `${(answer.bytes.length / request.length).toFixed(1)} times`
      expect(answer.bytes.length <= 4 * request.length, ratio)
      return ratio
    },
  },
]

function survives(
  name: string,
  what: string,
  over: ConformanceCase['over'],
  datagrams: (trial: Trial) => readonly Uint8Array[],
): ConformanceCase {
  return {
    id: `hostile/${name}`,
    section: 'RFC 8489 §16',
    level: 'MUST',
    rule: `The server survives ${what}.`,
    ...(over ? { over } : {}),
    async run(trial) {
      const messages = datagrams(trial)
      const perWire =
        trial.target.transport === 'udp' ? messages.length : Math.ceil(messages.length / CONNECTIONS)
      for (let at = 0; at < messages.length; at += perWire) {
        const wire = await tryWire(trial)
        for (const bytes of messages.slice(at, at + perWire)) wire?.send(bytes)
      }
      return alive(trial)
    },
  }
}

/** A connection, where the server takes one more of ours: it may have a limit. */
async function tryWire(trial: Trial): Promise<Wire | undefined> {
  const wire = await trial.wire().catch(() => undefined)
  if (wire) trial.later(() => wire.close())
  return wire
}

/** Whether somebody else is served. */
async function alive(trial: Trial): Promise<string> {
  const client = await trial.client()
  const answer = await client.ask(METHOD.Binding).catch((error: Error) => {
    throw new Broken(`a Binding after it: ${error.message}`)
  })
  expectSuccess(answer)
  return 'a Binding after it succeeds'
}

function message(attributes: readonly Attribute[], key?: Uint8Array): Buffer {
  return encode({ method: METHOD.Allocate, class: CLASS.Request, attributes, key })
}

/** A request with all that can be broken. */
function requestOf(trial: Trial): Buffer {
  const peer: Endpoint = { ip: trial.target.server.ip, port: 9 }
  const attributes: Attribute[] = [
    UDP,
    [ATTRIBUTE.Lifetime, payload(4)],
    [ATTRIBUTE.XorPeerAddress, payload(peer.ip.includes(':') ? 20 : 8)],
    [ATTRIBUTE.Username, Buffer.from('somebody')],
    [ATTRIBUTE.Realm, Buffer.from('somewhere')],
    [ATTRIBUTE.Nonce, payload(24)],
  ]
  return message(attributes, Buffer.alloc(16))
}

/** One to four bytes changed, behind the type. */
function broken(bytes: Buffer, seed: number): Buffer {
  const changes = randomBytes(8)
  for (let i = 0; i <= seed % 4; i++) bytes[2 + (changes[2 * i]! % (bytes.length - 2))] = changes[2 * i + 1]!
  return bytes
}
