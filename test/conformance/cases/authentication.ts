import { randomBytes } from 'node:crypto'
import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import { ERROR } from '../../../relay/stun/error-codes.ts'
import { CLASS, METHOD } from '../../../relay/stun/methods.ts'
import {
  type Attribute,
  codeOf,
  encode,
  has,
  type Message,
  numberOf,
  textOf,
  uint32,
} from '../../support/stun-message.ts'
import { Broken, type ConformanceCase } from '../case.ts'
import { type Client, describe, UDP } from '../client.ts'
import { expect, expectCode, expectSuccess } from '../trial.ts'

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(ATTRIBUTE).map(([name, type]) => [type, name]),
)

/** The long-term credential mechanism: RFC 8489 §9.2 and §14.5, without its SHA-256 parts. */
export const AUTHENTICATION: readonly ConformanceCase[] = [
  {
    id: 'auth/challenge',
    section: 'RFC 8489 §9.2.4',
    level: 'MUST',
    rule: 'A request without integrity is answered 401 with REALM and NONCE.',
    async run(trial) {
      return withChallenge(await (await trial.client()).ask(METHOD.Allocate, [UDP]), ERROR.Unauthenticated)
    },
  },
  {
    id: 'auth/challenge-says-no-more',
    section: 'RFC 8489 §9.2.4',
    level: 'SHOULD',
    rule: 'The 401 has no USERNAME, USERHASH, MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256.',
    async run(trial) {
      const { Username, Userhash, MessageIntegrity, MessageIntegritySha256 } = ATTRIBUTE
      return without(await (await trial.client()).ask(METHOD.Allocate, [UDP]), [
        Username,
        Userhash,
        MessageIntegrity,
        MessageIntegritySha256,
      ])
    },
  },
  {
    id: 'auth/nonce-of-a-source',
    section: 'RFC 8489 §9.2.4',
    level: 'MUST',
    rule: 'Two sources are not given the same NONCE.',
    async run(trial) {
      const clients = [await trial.client(), await trial.client()]
      const nonces = await Promise.all(
        clients.map(async (one) => textOf(await one.challenge(), ATTRIBUTE.Nonce)),
      )
      expect(nonces[0] !== nonces[1], 'the same NONCE')
      return 'two nonces'
    },
  },
  ...(['Username', 'Realm', 'Nonce'] as const).map(
    (name): ConformanceCase => ({
      id: `auth/without-${name.toLowerCase()}`,
      section: 'RFC 8489 §9.2.4',
      level: 'MUST',
      rule: `A request with MESSAGE-INTEGRITY but no ${name.toUpperCase()} is answered 400.`,
      async run(trial) {
        return expectCode(await incomplete(await trial.client(), ATTRIBUTE[name]), ERROR.BadRequest)
      },
    }),
  ),
  {
    id: 'auth/incomplete-says-no-more',
    section: 'RFC 8489 §9.2.4',
    level: 'SHOULD',
    rule: 'That 400 has no USERNAME, USERHASH, NONCE or REALM.',
    async run(trial) {
      const answer = await incomplete(await trial.client(), ATTRIBUTE.Username)
      return without(answer, [ATTRIBUTE.Username, ATTRIBUTE.Userhash, ATTRIBUTE.Nonce, ATTRIBUTE.Realm])
    },
  },
  {
    id: 'auth/wrong-password',
    section: 'RFC 8489 §9.2.4',
    level: 'MUST',
    rule: 'A wrong MESSAGE-INTEGRITY is answered 401 with REALM and NONCE.',
    async run(trial) {
      const { username } = trial.target.credentials
      const client = await trial.client({ username, password: randomBytes(9).toString('hex') })
      return withChallenge(await client.request(METHOD.Allocate, [UDP]), ERROR.Unauthenticated)
    },
  },
  {
    id: 'auth/unknown-user',
    section: 'RFC 8489 §9.2.4',
    level: 'MUST',
    rule: 'An unknown USERNAME is answered 401 with REALM and NONCE.',
    async run(trial) {
      const client = await trial.client({ username: randomBytes(9).toString('hex'), password: 'x' })
      return withChallenge(await client.request(METHOD.Allocate, [UDP]), ERROR.Unauthenticated)
    },
  },
  {
    id: 'auth/unknown-user-as-wrong-password',
    section: 'RFC 8489 §9.2.4',
    level: 'MAY',
    rule: 'The 401 does not tell which users exist: its attributes are those for a wrong password.',
    async run(trial) {
      const { username } = trial.target.credentials
      const names = [username, randomBytes(username.length).toString('hex').slice(0, username.length)]
      const shapes = await Promise.all(
        names.map(async (name) => {
          const client = await trial.client({ username: name, password: randomBytes(9).toString('hex') })
          const { attributes } = await client.request(METHOD.Allocate, [UDP])
          return attributes.map(([type, value]) => `${NAMES.get(type) ?? type}:${value.length}`).join(' ')
        }),
      )
      expect(shapes[0] === shapes[1], `${shapes[0]} for a user, ${shapes[1]} for nobody`)
      return 'the same attributes'
    },
  },
  {
    id: 'auth/stale-nonce',
    section: 'RFC 8489 §9.2.4',
    level: 'MUST',
    rule: 'A NONCE that is not valid is answered 438 with REALM and a NONCE that is.',
    async run(trial) {
      const client = await trial.client()
      await client.challenge()
      const answer = await client.request(METHOD.Allocate, [UDP], { nonce: randomBytes(12).toString('hex') })
      const came = withChallenge(answer, ERROR.StaleNonce)
      client.learn(answer)
      client.allocated = true
      const again = await client.exchange(client.sign(METHOD.Allocate, [UDP]))
      expect(again.class === CLASS.Success, `${came}, then ${describe(again)} to a request with that NONCE`)
      return came
    },
  },
  {
    id: 'auth/success-integrity',
    section: 'RFC 8489 §9.2.4',
    level: 'MUST',
    rule: 'A success carries a right MESSAGE-INTEGRITY.',
    async run(trial) {
      const client = await trial.client()
      client.allocated = true
      const answer = await client.request(METHOD.Allocate, [UDP])
      expectSuccess(answer)
      expect(client.isAuthentic(answer), 'no or a wrong MESSAGE-INTEGRITY')
      return 'a right MESSAGE-INTEGRITY'
    },
  },
  {
    id: 'auth/error-integrity',
    section: 'RFC 8489 §9.2.4',
    level: 'MUST',
    rule: 'An error after authentication carries a right MESSAGE-INTEGRITY too.',
    async run(trial) {
      const client = await trial.client()
      const answer = await client.request(METHOD.Allocate)
      const code = expectCode(answer, ERROR.BadRequest)
      expect(client.isAuthentic(answer), `${code} with no or a wrong MESSAGE-INTEGRITY`)
      return `${code} with a right MESSAGE-INTEGRITY`
    },
  },
  {
    id: 'auth/after-integrity',
    section: 'RFC 8489 §14.5',
    level: 'MUST',
    rule: 'Attributes behind MESSAGE-INTEGRITY are ignored: a LIFETIME of 0 there deletes nothing.',
    async run(trial) {
      const client = await trial.client()
      await client.allocate()
      const answer = await client.request(METHOD.Refresh, [], { after: [[ATTRIBUTE.Lifetime, uint32(0)]] })
      if (codeOf(answer) === 0)
        expect(numberOf(answer, ATTRIBUTE.Lifetime) !== 0, 'LIFETIME 0: the allocation is gone')
      return describe(answer)
    },
  },
  {
    id: 'auth/fingerprint-behind',
    section: 'RFC 8489 §14.7',
    level: 'MUST',
    rule: 'FINGERPRINT may stand behind MESSAGE-INTEGRITY.',
    async run(trial) {
      const client = await trial.client()
      client.allocated = true
      return expectSuccess(await client.request(METHOD.Allocate, [UDP], { fingerprint: true }))
    },
  },
  {
    id: 'auth/unknown-required',
    section: 'RFC 8489 §6.3.1',
    level: 'MUST',
    rule: 'A request with credentials and an unknown comprehension-required attribute is answered 420.',
    async run(trial) {
      const client = await trial.client()
      return expectCode(
        await client.request(METHOD.Allocate, [UDP, [0x7abc, Buffer.alloc(4)]]),
        ERROR.UnknownAttribute,
      )
    },
  },
  {
    id: 'auth/first-occurrence',
    section: 'RFC 8489 §14',
    level: 'SHOULD',
    rule: 'Of an attribute that stands twice, the first counts: LIFETIME 0 after another deletes nothing.',
    async run(trial) {
      const client = await trial.client()
      await client.allocate()
      const answer = await client.refresh(1000, [[ATTRIBUTE.Lifetime, uint32(0)]])
      expect(numberOf(answer, ATTRIBUTE.Lifetime) > 0, describe(answer))
      return describe(answer)
    },
  },
]

/** The answer to an Allocate that claims integrity but lacks an attribute. */
async function incomplete(client: Client, missing: number) {
  await client.challenge()
  const all: Attribute[] = [
    UDP,
    [ATTRIBUTE.Username, Buffer.from(client.credentials.username)],
    [ATTRIBUTE.Realm, Buffer.from(client.realm)],
    [ATTRIBUTE.Nonce, Buffer.from(client.nonce)],
  ]
  const attributes = all.filter(([type]) => type !== missing)
  return client.exchange(
    encode({ method: METHOD.Allocate, class: CLASS.Request, attributes, key: client.key }),
  )
}

function withChallenge(answer: Message, code: number): string {
  const came = expectCode(answer, code)
  const missing = [ATTRIBUTE.Realm, ATTRIBUTE.Nonce].filter((type) => !has(answer, type))
  if (missing.length > 0)
    throw new Broken(`${came} without ${missing.map((type) => NAMES.get(type)).join(', ')}`)
  return `${came} with REALM and NONCE`
}

function without(answer: Message, unwanted: readonly number[]): string {
  const there = unwanted.filter((type) => has(answer, type))
  expect(there.length === 0, `${describe(answer)} with ${there.map((type) => NAMES.get(type)).join(', ')}`)
  return describe(answer)
}
