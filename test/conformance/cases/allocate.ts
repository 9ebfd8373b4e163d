import { randomBytes } from 'node:crypto'
import { ATTRIBUTE, FAMILY_CODE } from '../../../relay/stun/attribute-types.ts'
import { ERROR } from '../../../relay/stun/error-codes.ts'
import { CLASS, METHOD } from '../../../relay/stun/methods.ts'
import {
  type Attribute,
  addressesOf,
  attributeOf,
  codeOf,
  firstByte,
  has,
  type Message,
  numberOf,
  uint32,
} from '../../support/stun-message.ts'
import { type ConformanceCase, NotTested } from '../case.ts'
import { type Client, describe, UDP } from '../client.ts'
import { expect, expectCode, expectSuccess, type Trial, text } from '../trial.ts'

const DEFAULT_LIFETIME_SECONDS = 600
const HOUR_SECONDS = 3600
const DYNAMIC_PORT_MIN = 49_152

const even = (reserve: boolean): Attribute => [ATTRIBUTE.EvenPort, Buffer.from([reserve ? 0x80 : 0])]
const family = (code: number): Attribute => [ATTRIBUTE.RequestedAddressFamily, firstByte(code)]
const additional = (code: number): Attribute => [ATTRIBUTE.AdditionalAddressFamily, firstByte(code)]
const token = (value: Uint8Array): Attribute => [ATTRIBUTE.ReservationToken, value]

/** Allocate: RFC 8656 §7.2; what must be refused is in `allocate-refusals.ts`. */
export const ALLOCATE: readonly ConformanceCase[] = [
  {
    id: 'allocate/success',
    section: 'RFC 8656 §7.2',
    level: 'MUST',
    rule: 'A success carries XOR-RELAYED-ADDRESS, LIFETIME and XOR-MAPPED-ADDRESS.',
    async run(trial) {
      const { answer } = await allocation(trial)
      const wanted = [ATTRIBUTE.XorRelayedAddress, ATTRIBUTE.Lifetime, ATTRIBUTE.XorMappedAddress]
      expect(
        wanted.every((type) => has(answer, type)),
        `a success with attributes ${answer.attributes.map(([type]) => type.toString(16)).join(', ')}`,
      )
      return describe(answer)
    },
  },
  {
    id: 'allocate/family',
    section: 'RFC 8656 §7.2',
    level: 'MUST',
    rule: 'Where no family is asked for, the relayed address is IPv4 (asked over IPv4).',
    async run(trial) {
      const { answer } = await allocation(trial)
      const [relayed] = addressesOf(answer, ATTRIBUTE.XorRelayedAddress)
      if (trial.target.server.ip.includes(':')) throw new NotTested('asked over IPv6')
      expect(relayed !== undefined && !relayed.ip.includes(':'), relayed ? text(relayed) : 'none')
      return 'IPv4'
    },
  },
  {
    id: 'allocate/dynamic-ports',
    section: 'RFC 8656 §7.2',
    level: 'SHOULD',
    rule: 'Relayed ports are of the range 49152 to 65535.',
    async run(trial) {
      const { answer } = await allocation(trial)
      const port = addressesOf(answer, ATTRIBUTE.XorRelayedAddress)[0]?.port ?? 0
      expect(port >= DYNAMIC_PORT_MIN, `port ${port}`)
      return 'a dynamic port'
    },
  },
  {
    id: 'allocate/default-lifetime',
    section: 'RFC 8656 §7.2',
    level: 'MUST',
    rule: 'A LIFETIME below the default is granted as the default.',
    async run(trial) {
      const { answer } = await allocation(trial, [[ATTRIBUTE.Lifetime, uint32(1)]])
      expect(numberOf(answer, ATTRIBUTE.Lifetime) > 1, describe(answer))
      return describe(answer)
    },
  },
  {
    id: 'allocate/default-600',
    section: 'RFC 8656 §6',
    level: 'SHOULD',
    rule: 'The default lifetime is 600 seconds.',
    async run(trial) {
      const { answer } = await allocation(trial)
      expect(numberOf(answer, ATTRIBUTE.Lifetime) === DEFAULT_LIFETIME_SECONDS, describe(answer))
      return describe(answer)
    },
  },
  {
    id: 'allocate/maximum-lifetime',
    section: 'RFC 8656 §7.2',
    level: 'SHOULD',
    rule: 'No more than an hour is granted, whatever is asked for.',
    async run(trial) {
      const { answer } = await allocation(trial, [[ATTRIBUTE.Lifetime, uint32(0xffffffff)]])
      expect(numberOf(answer, ATTRIBUTE.Lifetime) <= HOUR_SECONDS, describe(answer))
      return describe(answer)
    },
  },
  {
    id: 'allocate/twice',
    section: 'RFC 8656 §7.2 step 2',
    level: 'MUST',
    rule: 'A second Allocate on the 5-tuple is answered 437.',
    async run(trial) {
      const { client } = await allocation(trial)
      return expectCode(await client.request(METHOD.Allocate, [UDP]), ERROR.AllocationMismatch)
    },
  },
  {
    id: 'allocate/retransmission',
    section: 'RFC 8656 §7.2',
    level: 'MUST',
    rule: 'An Allocate that is sent again gets the same success, and makes no second allocation.',
    over: ['udp'],
    async run(trial) {
      const client = await trial.client()
      await client.challenge()
      const request = client.sign(METHOD.Allocate, [UDP], { id: randomBytes(12) })
      client.allocated = true
      const answers = [await client.exchange(request), await client.exchange(request)]
      const [first, second] = answers.map((answer) =>
        addressesOf(answer, ATTRIBUTE.XorRelayedAddress).map(text).join(),
      )
      expect(
        first === second && first !== '',
        `${first || describe(answers[0]!)}, then ${second || describe(answers[1]!)}`,
      )
      return 'the same relayed address'
    },
  },
  {
    id: 'allocate/even-port',
    section: 'RFC 8656 §7.2 step 8',
    level: 'MUST',
    rule: 'EVEN-PORT gives an even port, or 508.',
    async run(trial) {
      const { answer, client } = await allocation(trial, [even(false)], true)
      if (codeOf(answer) !== 0) return expectCode(answer, ERROR.InsufficientCapacity)
      client.allocated = true
      const port = addressesOf(answer, ATTRIBUTE.XorRelayedAddress)[0]?.port ?? 1
      expect(port % 2 === 0, `port ${port}`)
      return 'an even port'
    },
  },
  {
    id: 'allocate/reservation',
    section: 'RFC 8656 §7.2 step 5',
    level: 'MUST',
    rule: 'The port that EVEN-PORT reserves is given to who brings its RESERVATION-TOKEN.',
    async run(trial) {
      const { answer, client } = await allocation(trial, [even(true)], true)
      if (codeOf(answer) !== 0) throw new NotTested(`${describe(answer)} to EVEN-PORT with reservation`)
      client.allocated = true
      const reserved = attributeOf(answer, ATTRIBUTE.ReservationToken)
      expect(reserved?.length === 8, 'a success without RESERVATION-TOKEN')
      const second = await allocation(trial, [token(reserved!)])
      const [first, next] = [answer, second.answer].map(
        (one) => addressesOf(one, ATTRIBUTE.XorRelayedAddress)[0]?.port ?? 0,
      )
      expect(next === first! + 1, `port ${first}, then ${next}`)
      return 'the next port'
    },
  },
  ...(['IPv4', 'IPv6'] as const).map(
    (name): ConformanceCase => ({
      id: `allocate/family-${name.toLowerCase()}`,
      section: 'RFC 8656 §7.2 step 7',
      level: 'MUST',
      rule: `REQUESTED-ADDRESS-FAMILY ${name} gives an address of it, or 440.`,
      async run(trial) {
        const { answer, client } = await allocation(trial, [family(FAMILY_CODE[name])], true)
        if (codeOf(answer) !== 0) return expectCode(answer, ERROR.AddressFamilyNotSupported)
        client.allocated = true
        const [relayed] = addressesOf(answer, ATTRIBUTE.XorRelayedAddress)
        expect(relayed?.ip.includes(':') === (name === 'IPv6'), relayed ? text(relayed) : 'none')
        return name
      },
    }),
  ),
  {
    id: 'allocate/dual',
    section: 'RFC 8656 §7.2 step 9',
    level: 'MUST',
    rule: 'ADDITIONAL-ADDRESS-FAMILY IPv6 gives two addresses, or one and ADDRESS-ERROR-CODE.',
    async run(trial) {
      const { answer } = await allocation(trial, [additional(FAMILY_CODE.IPv6)])
      const families = addressesOf(answer, ATTRIBUTE.XorRelayedAddress).map(({ ip }) =>
        ip.includes(':') ? 6 : 4,
      )
      const partly = families.length === 1 && has(answer, ATTRIBUTE.AddressErrorCode)
      expect(partly || families.sort().join() === '4,6', `addresses of families ${families.join(' and ')}`)
      return partly ? 'one address and ADDRESS-ERROR-CODE' : 'an address of each family'
    },
  },
  {
    id: 'allocate/dont-fragment',
    section: 'RFC 8656 §7.2 step 4',
    level: 'MUST',
    rule: 'DONT-FRAGMENT is supported, or answered 420 with its type.',
    async run(trial) {
      const { answer, client } = await allocation(trial, [[ATTRIBUTE.DontFragment, Buffer.alloc(0)]], true)
      if (codeOf(answer) === 0) {
        client.allocated = true
        return 'success'
      }
      const code = expectCode(answer, ERROR.UnknownAttribute)
      const listed = attributeOf(answer, ATTRIBUTE.UnknownAttributes)
      expect(listed?.readUInt16BE(0) === ATTRIBUTE.DontFragment, `${code} without its type`)
      return code
    },
  },
]

/** The answer to an Allocate; fails where it is refused and may not be. */
async function allocation(
  trial: Trial,
  attributes: readonly Attribute[] = [],
  mayFail = false,
): Promise<{ client: Client; answer: Message }> {
  const client = await trial.client()
  const answer = await client.request(METHOD.Allocate, [UDP, ...attributes])
  client.allocated = answer.class === CLASS.Success
  if (!mayFail) expectSuccess(answer)
  return { client, answer }
}
