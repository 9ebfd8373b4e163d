import { ATTRIBUTE, FAMILY_CODE } from '../../../relay/stun/attribute-types.ts'
import { ERROR } from '../../../relay/stun/error-codes.ts'
import { METHOD } from '../../../relay/stun/methods.ts'
import { firstByte, numberOf, uint32 } from '../../support/stun-message.ts'
import { type ConformanceCase, NotTested } from '../case.ts'
import { describe } from '../client.ts'
import { expect, expectCode, expectSuccess, payload } from '../trial.ts'

const HOUR_SECONDS = 3600

/** Refresh, and what holds for every request but Allocate: RFC 8656 §5 and §8. */
export const REFRESH: readonly ConformanceCase[] = [
  {
    id: 'refresh/success',
    section: 'RFC 8656 §8.2',
    level: 'MUST',
    rule: 'A Refresh succeeds with LIFETIME.',
    async run(trial) {
      const client = await trial.client()
      await client.allocate()
      const answer = await client.refresh()
      expectSuccess(answer)
      expect(numberOf(answer, ATTRIBUTE.Lifetime) > 0, describe(answer))
      return describe(answer)
    },
  },
  {
    id: 'refresh/longer',
    section: 'RFC 8656 §8.2',
    level: 'MUST',
    rule: 'A LIFETIME between the default and the maximum is granted.',
    async run(trial) {
      const client = await trial.client()
      await client.allocate()
      const answer = await client.refresh(900)
      const maximum = numberOf(await client.refresh(0xffffffff), ATTRIBUTE.Lifetime)
      if (maximum < 900) throw new NotTested(`the longest lifetime of the server is ${maximum} seconds`)
      expect(numberOf(answer, ATTRIBUTE.Lifetime) === 900, describe(answer))
      return describe(answer)
    },
  },
  {
    id: 'refresh/maximum',
    section: 'RFC 8656 §7.2',
    level: 'SHOULD',
    rule: 'No more than an hour is granted, whatever is asked for.',
    async run(trial) {
      const client = await trial.client()
      await client.allocate()
      const answer = await client.refresh(0xffffffff)
      expect(numberOf(answer, ATTRIBUTE.Lifetime) <= HOUR_SECONDS, describe(answer))
      return describe(answer)
    },
  },
  {
    id: 'refresh/delete',
    section: 'RFC 8656 §8.2',
    level: 'MUST',
    rule: 'A LIFETIME of 0 succeeds and deletes the allocation: the next Refresh is answered 437.',
    async run(trial) {
      const client = await trial.client()
      await client.allocate()
      const deleted = await client.refresh(0)
      expectSuccess(deleted)
      client.allocated = false
      return `${describe(deleted)}, then ${expectCode(await client.refresh(), ERROR.AllocationMismatch)}`
    },
  },
  {
    id: 'refresh/delete-closes',
    section: 'RFC 8656 §8.2',
    level: 'MUST',
    rule: 'A deleted allocation relays no more.',
    async run(trial) {
      const { client, relayed, peer } = await trial.call()
      peer.send(relayed, payload(20))
      if (!(await client.data())) throw new NotTested('nothing of the peer came before either')
      expectSuccess(await client.refresh(0))
      client.allocated = false
      client.send(peer.address, payload(20))
      peer.send(relayed, payload(20))
      expect((await client.data(400)) === undefined, 'a Data indication of the peer')
      expect((await peer.hear(10)) === undefined, 'a datagram to the peer')
      return 'nothing either way'
    },
  },
  {
    id: 'refresh/family-mismatch',
    section: 'RFC 8656 §8.2',
    level: 'MUST',
    rule: 'A REQUESTED-ADDRESS-FAMILY that the allocation does not have is answered 443.',
    async run(trial) {
      const client = await trial.client()
      const relayed = await client.allocate()
      const other = relayed.ip.includes(':') ? FAMILY_CODE.IPv4 : FAMILY_CODE.IPv6
      const answer = await client.refresh(undefined, [[ATTRIBUTE.RequestedAddressFamily, firstByte(other)]])
      return expectCode(answer, ERROR.PeerAddressFamilyMismatch)
    },
  },
  {
    id: 'refresh/wrong-user',
    section: 'RFC 8656 §5',
    level: 'MUST',
    rule: 'Another user with good credentials on the 5-tuple is answered 441.',
    async run(trial) {
      const { other } = trial.target
      if (!other) throw new NotTested('give a second user with --user2 and --password2')
      const client = await trial.client()
      await client.allocate()
      const answer = await client.request(METHOD.Refresh, [[ATTRIBUTE.Lifetime, uint32(0)]], {
        credentials: other,
      })
      const came = expectCode(answer, ERROR.WrongCredentials)
      expectSuccess(await client.refresh())
      return came
    },
  },
  ...(['Refresh', 'CreatePermission', 'ChannelBind'] as const).map(
    (name): ConformanceCase => ({
      id: `no-allocation/${name.toLowerCase()}`,
      section: 'RFC 8656 §5',
      level: 'MUST',
      rule: `${name} without an allocation is answered 437.`,
      async run(trial) {
        const client = await trial.client()
        const peer = { ip: trial.target.peerAddress ?? trial.target.server.ip, port: 9999 }
        const answers = {
          Refresh: () => client.refresh(),
          CreatePermission: () => client.permit(peer),
          ChannelBind: () => client.bind(0x4000, peer),
        }
        return expectCode(await answers[name](), ERROR.AllocationMismatch)
      },
    }),
  ),
]
