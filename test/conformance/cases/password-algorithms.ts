import { createHash } from 'node:crypto'
import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import { ERROR } from '../../../relay/stun/error-codes.ts'
import { CLASS, METHOD } from '../../../relay/stun/methods.ts'
import { type Attribute, encode, has } from '../../support/stun-message.ts'
import { type ConformanceCase, NotTested } from '../case.ts'
import { type Client, UDP } from '../client.ts'
import { expect, expectCode, expectSuccess, type Trial } from '../trial.ts'

const COOKIE = 'obMatJos2'
/** The bits of RFC 8489 §18.1 at either end, as clients and the test vectors differ on which one is bit 0. */
const PASSWORD_ALGORITHMS = { first: 0x80, last: 0x01 }
const USERNAME_ANONYMITY = { first: 0x40, last: 0x02 }
const SHA256 = Buffer.from([0, 2, 0, 0])
const MD5 = Buffer.from([0, 1, 0, 0])

const WHY: Readonly<Record<string, string>> = {
  alone: 'only the choice',
  'list-alone': 'only the list',
  'other-list': 'a shorter list',
  'not-listed': 'a choice that is not in the list',
}

/** PASSWORD-ALGORITHMS, MESSAGE-INTEGRITY-SHA256 and USERHASH: RFC 8489 §9.2. */
export const PASSWORD_ALGORITHM_CASES: readonly ConformanceCase[] = [
  {
    id: 'sha256/nonce-cookie',
    section: 'RFC 8489 §9.2.4',
    level: 'MUST',
    rule: 'A server that sends PASSWORD-ALGORITHMS says so in the nonce cookie.',
    async run(trial) {
      const client = await offering(trial)
      expect(hasFeature(client.nonce, PASSWORD_ALGORITHMS), `NONCE ${client.nonce}`)
      return 'the bit is set'
    },
  },
  {
    id: 'sha256/allocate',
    section: 'RFC 8489 §9.2.4',
    level: 'MUST',
    rule: 'A request with SHA-256 succeeds, and the answer carries a right MESSAGE-INTEGRITY-SHA256.',
    async run(trial) {
      const client = await offering(trial)
      const answer = await client.request(METHOD.Allocate, [UDP], { sha256: true })
      expectSuccess(answer)
      expect(client.isAuthentic(answer, true), 'no or a wrong MESSAGE-INTEGRITY-SHA256')
      await client.request(METHOD.Refresh, [[ATTRIBUTE.Lifetime, Buffer.alloc(4)]], { sha256: true })
      return 'a right MESSAGE-INTEGRITY-SHA256'
    },
  },
  {
    id: 'sha256/truncated',
    section: 'RFC 8489 §14.6',
    level: 'MUST',
    rule: 'A MESSAGE-INTEGRITY-SHA256 of fewer than 16 bytes proves nothing.',
    async run(trial) {
      const client = await offering(trial)
      const answer = await client.tryExchange(
        client.sign(METHOD.Allocate, [UDP], { sha256: true, sha256Bytes: 12 }),
        400,
      )
      return answer ? expectCode(answer, ERROR.BadRequest, ERROR.Unauthenticated) : 'silence'
    },
  },
  {
    id: 'sha256/md5-without',
    section: 'RFC 8489 §9.2.4',
    level: 'MUST',
    rule: 'A request with neither PASSWORD-ALGORITHMS nor PASSWORD-ALGORITHM is taken as MD5.',
    async run(trial) {
      const client = await offering(trial)
      client.allocated = true
      const answer = await client.request(METHOD.Allocate, [UDP])
      expectSuccess(answer)
      expect(client.isAuthentic(answer), 'no or a wrong MESSAGE-INTEGRITY')
      return 'success with MESSAGE-INTEGRITY'
    },
  },
  ...(
    [
      ['alone', () => [[ATTRIBUTE.PasswordAlgorithm, SHA256]]],
      ['list-alone', ({ offered }) => [[ATTRIBUTE.PasswordAlgorithms, offered!]]],
      [
        'other-list',
        () => [
          [ATTRIBUTE.PasswordAlgorithms, MD5],
          [ATTRIBUTE.PasswordAlgorithm, MD5],
        ],
      ],
      [
        'not-listed',
        ({ offered }) => [
          [ATTRIBUTE.PasswordAlgorithms, offered!],
          [ATTRIBUTE.PasswordAlgorithm, Buffer.from([0x7f, 1, 0, 0])],
        ],
      ],
    ] satisfies [string, (client: Client) => Attribute[]][]
  ).map(
    ([name, attributes]): ConformanceCase => ({
      id: `sha256/bid-down-${name}`,
      section: 'RFC 8489 §9.2.4',
      level: 'MUST',
      rule: `Algorithms that are not those offered are answered 400: ${WHY[name]}.`,
      async run(trial) {
        const client = await offering(trial)
        const answer = await client.exchange(client.sign(METHOD.Allocate, [UDP, ...attributes(client)]))
        return expectCode(answer, ERROR.BadRequest)
      },
    }),
  ),
  {
    id: 'userhash/allocate',
    section: 'RFC 8489 §9.2.4',
    level: 'MUST',
    rule: 'A server that offers anonymous user names takes USERHASH for USERNAME.',
    async run(trial) {
      const client = await trial.client()
      await client.challenge()
      if (!hasFeature(client.nonce, USERNAME_ANONYMITY)) throw new NotTested('the server does not offer it')
      const { username } = client.credentials
      const attributes: Attribute[] = [
        UDP,
        [ATTRIBUTE.Userhash, createHash('sha256').update(`${username}:${client.realm}`).digest()],
        [ATTRIBUTE.Realm, Buffer.from(client.realm)],
        [ATTRIBUTE.Nonce, Buffer.from(client.nonce)],
      ]
      client.allocated = true
      return expectSuccess(
        await client.exchange(
          encode({ method: METHOD.Allocate, class: CLASS.Request, attributes, key: client.key }),
        ),
      )
    },
  },
]

/** A client that was offered SHA-256. */
async function offering(trial: Trial): Promise<Client> {
  const client = await trial.client()
  const challenge = await client.challenge()
  if (!has(challenge, ATTRIBUTE.PasswordAlgorithms)) throw new NotTested('the server does not offer it')
  if (!client.offered?.includes(SHA256)) throw new NotTested('the server offers no SHA-256')
  return client
}

function hasFeature(nonce: string, { first, last }: { first: number; last: number }): boolean {
  if (!nonce.startsWith(COOKIE)) return false
  const bits = Buffer.from(nonce.slice(COOKIE.length, COOKIE.length + 4), 'base64')
  return (bits[0]! & first) !== 0 || (bits[2]! & last) !== 0
}
