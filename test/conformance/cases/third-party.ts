import { randomBytes } from 'node:crypto'
import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import { ERROR } from '../../../relay/stun/error-codes.ts'
import { CLASS, METHOD } from '../../../relay/stun/methods.ts'
import { sealAccessToken, type TokenParts } from '../../support/access-token.ts'
import {
  type Attribute,
  encode,
  isAuthentic,
  type Message,
  numberOf,
  textOf,
  uint32,
} from '../../support/stun-message.ts'
import { Broken, type ConformanceCase, NotTested } from '../case.ts'
import { describe, UDP } from '../client.ts'
import { expect, expectCode, expectSuccess, type Trial } from '../trial.ts'

const MAC_KEY = Buffer.alloc(20, 0x5a)
const LIFETIME_SECONDS = 3600
/** What clocks may differ by, and more. */
const LONG_AGO_SECONDS = 7200

/** Third-party authorization: RFC 7635 §7. */
export const THIRD_PARTY: readonly ConformanceCase[] = [
  {
    id: 'token/allocate',
    section: 'RFC 7635 §7',
    level: 'MUST',
    rule: 'A token that verifies is taken, and the answer carries a right MESSAGE-INTEGRITY by its key.',
    async run(trial) {
      const answer = await allocate(trial)
      expectSuccess(answer)
      expect(isAuthentic(answer, MAC_KEY), 'no or a wrong MESSAGE-INTEGRITY')
      return 'success with a right MESSAGE-INTEGRITY'
    },
  },
  {
    id: 'token/lifetime',
    section: 'RFC 7635 §9',
    level: 'MUST',
    rule: 'The lifetime of an allocation is not longer than what is left of the token, and the five seconds of Delta.',
    async run(trial) {
      const answer = await allocate(trial, { lifetimeSeconds: 700 }, [
        [ATTRIBUTE.Lifetime, uint32(LIFETIME_SECONDS)],
      ])
      expectSuccess(answer)
      expect(numberOf(answer, ATTRIBUTE.Lifetime) <= 705, describe(answer))
      return describe(answer)
    },
  },
  refused('expired', 'is over its time', {
    timestampSeconds: Date.now() / 1000 - LONG_AGO_SECONDS,
    lifetimeSeconds: 60,
  }),
  refused('other-server', 'is made for another server', { serverName: 'other.example.org' }),
  refused('other-key', 'is sealed by another key', { key: randomBytes(32) }),
  {
    id: 'token/wrong-integrity',
    section: 'RFC 7635 §7',
    level: 'MUST',
    rule: 'A request whose MESSAGE-INTEGRITY is not by the key in its token is answered 401.',
    async run(trial) {
      const answer = await allocate(trial, {}, [], Buffer.alloc(20, 1))
      return expectCode(answer, ERROR.Unauthenticated)
    },
  },
]

/** A token that is refused with 401. */
function refused(name: string, what: string, parts: Partial<TokenParts>): ConformanceCase {
  return {
    id: `token/${name}`,
    section: 'RFC 7635 §7',
    level: 'MUST',
    rule: `A token that ${what} is answered 401.`,
    async run(trial) {
      return expectCode(await allocate(trial, parts), ERROR.Unauthenticated)
    },
  }
}

/** The answer to an Allocate with a token that is right but for `parts`; the allocation is given back. */
async function allocate(
  trial: Trial,
  parts: Partial<TokenParts> = {},
  more: readonly Attribute[] = [],
  macKey: Uint8Array = MAC_KEY,
): Promise<Message> {
  const client = await trial.client()
  const serverName = textOf(await client.challenge(), ATTRIBUTE.ThirdPartyAuthorization)
  if (serverName === '') throw new NotTested('no THIRD-PARTY-AUTHORIZATION: the server takes no tokens')
  const { tokenKey } = trial.target
  if (!tokenKey) throw new NotTested('give a key of the server with --token-key KID:BASE64')
  if (tokenKey.key.length !== 32) throw new Broken('--token-key must be of 32 bytes, for A256GCM')
  const token = sealAccessToken({
    key: tokenKey.key,
    serverName,
    macKey: MAC_KEY,
    timestampSeconds: Date.now() / 1000,
    lifetimeSeconds: LIFETIME_SECONDS,
    ...parts,
  })
  const who: Attribute[] = [
    [ATTRIBUTE.Username, Buffer.from(tokenKey.kid)],
    [ATTRIBUTE.Realm, Buffer.from(client.realm)],
    [ATTRIBUTE.Nonce, Buffer.from(client.nonce)],
    [ATTRIBUTE.AccessToken, token],
  ]
  const say = (method: number, attributes: readonly Attribute[]) =>
    client.exchange(
      encode({ method, class: CLASS.Request, attributes: [...attributes, ...who], key: macKey }),
    )
  const answer = await say(METHOD.Allocate, [UDP, ...more])
  if (answer.class === CLASS.Success) await say(METHOD.Refresh, [[ATTRIBUTE.Lifetime, uint32(0)]])
  return answer
}
