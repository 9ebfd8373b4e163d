import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import { ERROR } from '../../../relay/stun/error-codes.ts'
import { METHOD } from '../../../relay/stun/methods.ts'
import { codeOf, type Message } from '../../support/stun-message.ts'
import { type ConformanceCase, NotTested } from '../case.ts'
import { describe } from '../client.ts'
import { expect, expectCode, expectSuccess, payload } from '../trial.ts'

/** Addresses of the Internet, to which nothing is sent: a policy of the server should not forbid them. */
const NOWHERE = { v4: { ip: '45.0.0.1', port: 9999 }, v6: { ip: '2a00::1', port: 9999 } }

/** CreatePermission and permissions: RFC 8656 §9 and §10. */
export const PERMISSIONS: readonly ConformanceCase[] = [
  {
    id: 'permission/success',
    section: 'RFC 8656 §10.2',
    level: 'MUST',
    rule: 'A CreatePermission for peers that the server allows succeeds.',
    async run(trial) {
      const peer = await trial.peer()
      const client = await trial.client()
      await client.allocate()
      const answer = await client.permit(peer.address)
      trial.permitted(answer)
      return describe(answer)
    },
  },
  {
    id: 'permission/several',
    section: 'RFC 8656 §10.2',
    level: 'MUST',
    rule: 'One request may name several peers, in any order and with any ports.',
    async run(trial) {
      const { client, peer } = await trial.call()
      const { ip } = peer.address
      return expectSuccess(await client.permit({ ip, port: 1 }, { ip, port: 65_535 }, { ip, port: 0 }))
    },
  },
  {
    id: 'permission/no-peer',
    section: 'RFC 8656 §10.2',
    level: 'MUST',
    rule: 'A request without XOR-PEER-ADDRESS is answered 400.',
    async run(trial) {
      const client = await trial.client()
      await client.allocate()
      return expectCode(await client.permit(), ERROR.BadRequest)
    },
  },
  {
    id: 'permission/invalid-peer',
    section: 'RFC 8656 §10.2',
    level: 'MUST',
    rule: 'A request with an invalid XOR-PEER-ADDRESS is answered 400.',
    async run(trial) {
      const client = await trial.client()
      await client.allocate()
      const invalid = Buffer.from([0, 1, 0, 9, 1, 2])
      return expectCode(
        await client.request(METHOD.CreatePermission, [[ATTRIBUTE.XorPeerAddress, invalid]]),
        ERROR.BadRequest,
      )
    },
  },
  {
    id: 'permission/family-mismatch',
    section: 'RFC 8656 §10.2',
    level: 'MUST',
    rule: 'A peer of a family that the allocation does not have is answered 443.',
    async run(trial) {
      const client = await trial.client()
      const relayed = await client.allocate()
      const peer = relayed.ip.includes(':') ? NOWHERE.v4 : NOWHERE.v6
      return familyMismatch(await client.permit(peer))
    },
  },
  {
    id: 'permission/none',
    section: 'RFC 8656 §9',
    level: 'MUST',
    rule: 'What comes from an address without permission is silently discarded.',
    async run(trial) {
      const peer = await trial.peer()
      const client = await trial.client()
      const relayed = await client.allocate()
      peer.send(relayed, payload(20))
      expect((await client.data(400)) === undefined, 'a Data indication')
      return 'nothing'
    },
  },
  {
    id: 'permission/any-port',
    section: 'RFC 8656 §9',
    level: 'MUST',
    rule: 'A permission is for an address and all of its ports.',
    async run(trial) {
      const { client, relayed } = await trial.call()
      const another = await trial.peer()
      const sent = payload(40)
      another.send(relayed, sent)
      const heard = await client.data()
      expect(heard?.data?.equals(sent) === true, heard ? 'other data' : 'nothing')
      return 'a Data indication'
    },
  },
  {
    id: 'permission/all-or-nothing',
    section: 'RFC 8656 §10.2',
    level: 'MUST',
    rule: 'A request with a peer of the wrong family installs no permission for the others.',
    async run(trial) {
      const peer = await trial.peer()
      const client = await trial.client()
      const relayed = await client.allocate()
      const wrong = relayed.ip.includes(':') ? NOWHERE.v4 : NOWHERE.v6
      const code = familyMismatch(await client.permit(peer.address, wrong))
      peer.send(relayed, payload(20))
      expect((await client.data(400)) === undefined, `${code}, and a Data indication of the other peer`)
      return `${code}, and no permission`
    },
  },
  {
    id: 'permission/other-allocation',
    section: 'RFC 8656 §9',
    level: 'MUST',
    rule: 'The permissions of one allocation are none of another.',
    async run(trial) {
      const { peer } = await trial.call()
      const second = await trial.client()
      const relayed = await second.allocate()
      peer.send(relayed, payload(20))
      expect((await second.data(400)) === undefined, 'a Data indication')
      return 'nothing'
    },
  },
]

/** 443; where a policy of the server speaks first, it cannot be told. */
function familyMismatch(answer: Message): string {
  if (codeOf(answer) === ERROR.Forbidden)
    throw new NotTested('the policy of the server forbids these peers (403)')
  return expectCode(answer, ERROR.PeerAddressFamilyMismatch)
}
