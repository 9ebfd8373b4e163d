import { setTimeout as sleep } from 'node:timers/promises'
import { ATTRIBUTE, FAMILY_CODE } from '../../../relay/stun/attribute-types.ts'
import { ERROR } from '../../../relay/stun/error-codes.ts'
import { CLASS, METHOD } from '../../../relay/stun/methods.ts'
import { type Attribute, firstByte } from '../../support/stun-message.ts'
import { type ConformanceCase, NotTested } from '../case.ts'
import { UDP } from '../client.ts'
import { expectCode, expectSuccess } from '../trial.ts'

/** Beyond it, the case would take its server's room from the others. */
const QUOTA_MAX = 50
const DELETION_ATTEMPTS_MAX = 20
const DELETION_WAIT_MS = 250

const even = (reserve: boolean): Attribute => [ATTRIBUTE.EvenPort, Buffer.from([reserve ? 0x80 : 0])]
const family = (code: number): Attribute => [ATTRIBUTE.RequestedAddressFamily, firstByte(code)]
const additional = (code: number): Attribute => [ATTRIBUTE.AdditionalAddressFamily, firstByte(code)]
const token = (value: Uint8Array): Attribute => [ATTRIBUTE.ReservationToken, value]

/** Allocates that must be refused: RFC 8656 §7.2, step by step. */
export const ALLOCATE_REFUSALS: readonly ConformanceCase[] = [
  refused('transport-missing', 3, 'no REQUESTED-TRANSPORT', [], ERROR.BadRequest, []),
  refused('transport-malformed', 3, 'a REQUESTED-TRANSPORT of one byte', [], ERROR.BadRequest, [
    [ATTRIBUTE.RequestedTransport, Buffer.from([17])],
  ]),
  refused(
    'transport-unsupported',
    3,
    'a REQUESTED-TRANSPORT that does not exist',
    [],
    ERROR.UnsupportedTransportProtocol,
    [[ATTRIBUTE.RequestedTransport, firstByte(199)]],
  ),
  refused(
    'token-unknown',
    5,
    'an unknown RESERVATION-TOKEN',
    [token(Buffer.alloc(8, 0xa5))],
    ERROR.InsufficientCapacity,
  ),
  refused(
    'token-and-even-port',
    5,
    'RESERVATION-TOKEN with EVEN-PORT',
    [token(Buffer.alloc(8, 0xa5)), even(false)],
    ERROR.BadRequest,
  ),
  refused(
    'token-and-family',
    5,
    'RESERVATION-TOKEN with REQUESTED-ADDRESS-FAMILY',
    [token(Buffer.alloc(8, 0xa5)), family(FAMILY_CODE.IPv4)],
    ERROR.BadRequest,
  ),
  refused(
    'token-and-additional-family',
    5,
    'RESERVATION-TOKEN with ADDITIONAL-ADDRESS-FAMILY',
    [token(Buffer.alloc(8, 0xa5)), additional(FAMILY_CODE.IPv6)],
    ERROR.BadRequest,
  ),
  refused(
    'both-families',
    6,
    'REQUESTED-ADDRESS-FAMILY with ADDITIONAL-ADDRESS-FAMILY',
    [family(FAMILY_CODE.IPv4), additional(FAMILY_CODE.IPv6)],
    ERROR.BadRequest,
  ),
  refused('family-unknown', 7, 'a family that does not exist', [family(3)], ERROR.AddressFamilyNotSupported),
  refused(
    'even-port-and-additional-family',
    8,
    'EVEN-PORT with reservation and ADDITIONAL-ADDRESS-FAMILY',
    [even(true), additional(FAMILY_CODE.IPv6)],
    ERROR.BadRequest,
  ),
  refused(
    'additional-ipv4',
    9,
    'ADDITIONAL-ADDRESS-FAMILY IPv4',
    [additional(FAMILY_CODE.IPv4)],
    ERROR.BadRequest,
  ),
  {
    id: 'quota/user',
    section: 'RFC 8656 §7.2 step 10',
    level: 'MAY',
    rule: 'A user who has as many allocations as the server grants gets 486, and another one for one that is given back.',
    async run(trial) {
      const { quota } = trial.target
      if (quota === undefined) throw new NotTested('give the quota of a user with --quota')
      if (!(quota >= 1 && quota <= QUOTA_MAX))
        throw new NotTested(`a quota above ${QUOTA_MAX} takes too long`)
      const clients = await Promise.all(Array.from({ length: quota + 1 }, () => trial.client()))
      const last = clients.pop()!
      for (const client of clients) await client.allocate()
      const came = expectCode(await last.request(METHOD.Allocate, [UDP]), ERROR.AllocationQuotaReached)
      expectSuccess(await clients[0]!.refresh(0))
      clients[0]!.allocated = false
      // A server may take a while to delete, and to forget a 5-tuple that it has refused.
      for (let attempt = 1; ; attempt++) {
        const client = await trial.client()
        const answer = await client.request(METHOD.Allocate, [UDP])
        client.allocated = answer.class === CLASS.Success
        if (client.allocated || attempt === DELETION_ATTEMPTS_MAX)
          return `${came}, then ${expectSuccess(answer)}`
        await sleep(DELETION_WAIT_MS)
      }
    },
  },
]

/** An Allocate that is refused with a code. */
function refused(
  name: string,
  step: number,
  what: string,
  attributes: readonly Attribute[],
  code: number,
  transport: readonly Attribute[] = [UDP],
): ConformanceCase {
  return {
    id: `allocate/${name}`,
    section: `RFC 8656 §7.2 step ${step}`,
    level: 'MUST',
    rule: `Allocate with ${what} is answered ${code}.`,
    async run(trial) {
      const client = await trial.client()
      const answer = await client.request(METHOD.Allocate, [...transport, ...attributes])
      client.allocated = answer.class === CLASS.Success
      return expectCode(answer, code)
    },
  }
}
