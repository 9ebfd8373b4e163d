import { randomBytes } from 'node:crypto'
import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import { ERROR } from '../../../relay/stun/error-codes.ts'
import { CLASS, METHOD } from '../../../relay/stun/methods.ts'
import {
  type Attribute,
  addressesOf,
  attributeOf,
  codeOf,
  type Endpoint,
} from '../../support/stun-message.ts'
import { Broken, type ConformanceCase, NotTested } from '../case.ts'
import { type Client, describe, UDP } from '../client.ts'
import { expect, expectCode, expectSuccess, payload, sameEndpoint, type Trial, text } from '../trial.ts'

const ticket = (value: Uint8Array): Attribute => [ATTRIBUTE.MobilityTicket, value]

/** Mobility: RFC 8016 §3. */
export const MOBILITY: readonly ConformanceCase[] = [
  {
    id: 'mobility/ticket-in-allocate',
    section: 'RFC 8016 §3.1.2',
    level: 'MUST',
    rule: 'An Allocate whose MOBILITY-TICKET is not empty is answered 400.',
    async run(trial) {
      await mobile(trial)
      const client = await trial.client()
      const answer = await client.request(METHOD.Allocate, [UDP, ticket(Buffer.alloc(8, 1))])
      client.allocated = answer.class === CLASS.Success
      return expectCode(answer, ERROR.BadRequest)
    },
  },
  {
    id: 'mobility/move',
    section: 'RFC 8016 §3.2.2',
    level: 'MUST',
    rule: 'A Refresh with the ticket from a new address succeeds with a new ticket; the relayed address stays, and data follows.',
    async run(trial) {
      const peer = await trial.peer()
      const { client, held, relayed } = await mobile(trial)
      trial.permitted(await client.permit(peer.address))
      const moved = await trial.client()
      const answer = await moved.request(METHOD.Refresh, [ticket(held)])
      expectSuccess(answer)
      const next = attributeOf(answer, ATTRIBUTE.MobilityTicket)
      expect(next !== undefined && !next.equals(held), next ? 'the old ticket again' : 'no new ticket')
      moved.allocated = true
      const sent = payload(30)
      moved.send(peer.address, sent)
      const heard = await peer.hear()
      expect(heard?.data.equals(sent) === true, 'nothing at the peer from the new address')
      expect(sameEndpoint(heard?.from, relayed), `from ${heard ? text(heard.from) : ''}`)
      const back = payload(31)
      peer.send(relayed, back)
      expect((await moved.data())?.data?.equals(back) === true, 'nothing of the peer at the new address')
      client.allocated = false
      return 'a new ticket, and data both ways'
    },
  },
  {
    id: 'mobility/forged',
    section: 'RFC 8016 §3.2.2',
    level: 'MUST',
    rule: 'A ticket that is not valid is answered 400.',
    async run(trial) {
      const { held } = await mobile(trial)
      const client = await trial.client()
      return expectCode(
        await client.request(METHOD.Refresh, [ticket(randomBytes(held.length))]),
        ERROR.BadRequest,
      )
    },
  },
  {
    id: 'mobility/same-address',
    section: 'RFC 8016 §3.2.2',
    level: 'MUST',
    rule: 'A ticket from the address that the allocation has already is answered 400.',
    async run(trial) {
      const { client, held } = await mobile(trial)
      return expectCode(await client.request(METHOD.Refresh, [ticket(held)]), ERROR.BadRequest)
    },
  },
  {
    id: 'mobility/other-user',
    section: 'RFC 8016 §3.2.2',
    level: 'MUST',
    rule: 'The ticket of another user is answered 441.',
    async run(trial) {
      const { other } = trial.target
      if (!other) throw new NotTested('give a second user with --user2 and --password2')
      const { held } = await mobile(trial)
      const thief = await trial.client(other)
      return expectCode(await thief.request(METHOD.Refresh, [ticket(held)]), ERROR.WrongCredentials)
    },
  },
]

async function mobile(trial: Trial): Promise<{ client: Client; held: Buffer; relayed: Endpoint }> {
  const client = await trial.client()
  const answer = await client.request(METHOD.Allocate, [UDP, ticket(Buffer.alloc(0))])
  if (codeOf(answer) === ERROR.MobilityForbidden) throw new NotTested('405: mobility is off')
  expectSuccess(answer)
  client.allocated = true
  const held = attributeOf(answer, ATTRIBUTE.MobilityTicket)
  if (!held) throw new NotTested('the server does not know MOBILITY-TICKET')
  const [relayed] = addressesOf(answer, ATTRIBUTE.XorRelayedAddress)
  if (!relayed) throw new Broken(`${describe(answer)} without XOR-RELAYED-ADDRESS`)
  return { client, held, relayed }
}
