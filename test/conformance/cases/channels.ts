import { randomBytes } from 'node:crypto'
import { ERROR } from '../../../relay/stun/error-codes.ts'
import { CLASS, METHOD } from '../../../relay/stun/methods.ts'
import { codeOf } from '../../support/stun-message.ts'
import { type ConformanceCase, NotTested } from '../case.ts'
import { channelData, channelNumber, describe, peerAddress } from '../client.ts'
import { expect, expectCode, expectSuccess, payload, type Trial } from '../trial.ts'

const FIRST = 0x4000
const LAST = 0x4fff
/** Addresses of the Internet, to which nothing is sent: a policy of the server should not forbid them. */
const NOWHERE = { v4: { ip: '45.0.0.1', port: 9999 }, v6: { ip: '2a00::1', port: 9999 } }
const SIZES = [1, 2, 3, 4, 160, 1200]

/** Channels: RFC 8656 §12. */
export const CHANNELS: readonly ConformanceCase[] = [
  ...[FIRST, LAST].map(
    (number): ConformanceCase => ({
      id: `channel/bind-${number.toString(16)}`,
      section: 'RFC 8656 §12.2',
      level: 'MUST',
      rule: `Channel 0x${number.toString(16)} can be bound.`,
      async run(trial) {
        const { client, peer } = await trial.call()
        return expectSuccess(await client.bind(number, peer.address))
      },
    }),
  ),
  ...[0x3fff, 0x5000, 0x7fff, 0xffff].map(
    (number): ConformanceCase => ({
      id: `channel/bind-${number.toString(16)}`,
      section: 'RFC 8656 §12.2',
      level: 'MUST',
      rule: `Channel 0x${number.toString(16)} is answered 400.`,
      async run(trial) {
        const { client, peer } = await trial.call()
        return expectCode(await client.bind(number, peer.address), ERROR.BadRequest)
      },
    }),
  ),
  {
    id: 'channel/without-number',
    section: 'RFC 8656 §12.2',
    level: 'MUST',
    rule: 'A ChannelBind without CHANNEL-NUMBER is answered 400.',
    async run(trial) {
      const { client, peer } = await trial.call()
      const id = randomBytes(12)
      return expectCode(
        await client.request(METHOD.ChannelBind, [peerAddress(peer.address, id)], { id }),
        ERROR.BadRequest,
      )
    },
  },
  {
    id: 'channel/without-peer',
    section: 'RFC 8656 §12.2',
    level: 'MUST',
    rule: 'A ChannelBind without XOR-PEER-ADDRESS is answered 400.',
    async run(trial) {
      const { client } = await trial.call()
      return expectCode(await client.request(METHOD.ChannelBind, [channelNumber(FIRST)]), ERROR.BadRequest)
    },
  },
  {
    id: 'channel/other-peer',
    section: 'RFC 8656 §12.2',
    level: 'MUST',
    rule: 'A channel that is bound to another peer is answered 400.',
    async run(trial) {
      const { client } = await bound(trial)
      const another = await trial.peer()
      return expectCode(await client.bind(FIRST, another.address), ERROR.BadRequest)
    },
  },
  {
    id: 'channel/other-number',
    section: 'RFC 8656 §12.2',
    level: 'MUST',
    rule: 'A peer that is bound to another channel is answered 400.',
    async run(trial) {
      const { client, peer } = await bound(trial)
      return expectCode(await client.bind(FIRST + 1, peer.address), ERROR.BadRequest)
    },
  },
  {
    id: 'channel/again',
    section: 'RFC 8656 §12.2',
    level: 'MUST',
    rule: 'The same channel to the same peer succeeds again.',
    async run(trial) {
      const { client, peer } = await bound(trial)
      return expectSuccess(await client.bind(FIRST, peer.address))
    },
  },
  {
    id: 'channel/family-mismatch',
    section: 'RFC 8656 §12.2',
    level: 'MUST',
    rule: 'A peer of a family that the allocation does not have is answered 443.',
    async run(trial) {
      const client = await trial.client()
      const relayed = await client.allocate()
      const peer = relayed.ip.includes(':') ? NOWHERE.v4 : NOWHERE.v6
      const answer = await client.bind(FIRST, peer)
      if (codeOf(answer) === ERROR.Forbidden)
        throw new NotTested('the policy of the server forbids the peer (403)')
      return expectCode(answer, ERROR.PeerAddressFamilyMismatch)
    },
  },
  {
    id: 'channel/permission',
    section: 'RFC 8656 §12.2',
    level: 'MUST',
    rule: 'ChannelBind installs a permission: another port of the peer gets through, as Data indications.',
    async run(trial) {
      const peer = await trial.peer()
      const client = await trial.client()
      const relayed = await client.allocate()
      trial.permitted(await client.bind(FIRST, peer.address))
      const another = await trial.peer()
      const sent = payload(30)
      another.send(relayed, sent)
      const heard = await client.data()
      expect(heard?.data?.equals(sent) === true, heard ? 'other data' : 'nothing')
      return 'a Data indication'
    },
  },
  {
    id: 'channel/to-peer',
    section: 'RFC 8656 §12.6',
    level: 'MUST',
    rule: 'ChannelData goes to the peer, every byte, whatever its length.',
    async run(trial) {
      const { client, peer } = await bound(trial)
      for (const size of SIZES) {
        const sent = payload(size)
        client.sendChannel(FIRST, sent)
        const heard = await peer.hear()
        expect(heard?.data.equals(sent) === true, heard ? `${heard.data.length} of ${size} bytes` : 'nothing')
      }
      return 'every byte'
    },
  },
  {
    id: 'channel/to-peer-empty',
    section: 'RFC 8656 §12.6',
    level: 'MUST',
    rule: 'ChannelData of no bytes is relayed as an empty datagram.',
    async run(trial) {
      const { client, peer } = await bound(trial)
      client.sendChannel(FIRST, Buffer.alloc(0))
      const heard = await peer.hear()
      expect(heard?.data.length === 0, heard ? `${heard.data.length} bytes` : 'nothing')
      return 'an empty datagram'
    },
  },
  {
    id: 'channel/from-peer',
    section: 'RFC 8656 §12.5',
    level: 'MUST',
    rule: 'What a bound peer sends comes as ChannelData, every byte, padded over streams.',
    async run(trial) {
      const { client, relayed, peer } = await bound(trial)
      for (const size of SIZES) {
        const sent = payload(size)
        peer.send(relayed, sent)
        const heard = await client.channel()
        const came = heard
          ? `${heard.data.length} of ${size} bytes on 0x${heard.number.toString(16)}`
          : 'nothing'
        expect(heard?.number === FIRST && heard.data.equals(sent), came)
      }
      return 'every byte'
    },
  },
  {
    id: 'channel/send-too',
    section: 'RFC 8656 §12.5',
    level: 'MUST',
    rule: 'Send indications to a bound peer are relayed too.',
    async run(trial) {
      const { client, peer } = await bound(trial)
      const sent = payload(50)
      client.send(peer.address, sent)
      expect((await peer.hear())?.data.equals(sent) === true, 'nothing')
      return 'relayed'
    },
  },
  {
    id: 'channel/padding',
    section: 'RFC 8656 §12.5',
    level: 'MUST',
    rule: 'Over UDP, ChannelData may be padded; the padding is not relayed.',
    over: ['udp'],
    async run(trial) {
      const { client, peer } = await bound(trial)
      const sent = payload(5)
      client.sendChannel(FIRST, sent, 3)
      const heard = await peer.hear()
      expect(heard?.data.equals(sent) === true, heard ? `${heard.data.length} bytes` : 'nothing')
      return 'relayed without padding'
    },
  },
  {
    id: 'channel/too-short',
    section: 'RFC 8656 §12.6',
    level: 'MUST',
    rule: 'ChannelData that claims more than the datagram holds is discarded.',
    over: ['udp'],
    async run(trial) {
      const { client, peer } = await bound(trial)
      client.wire.send(channelData(FIRST, payload(20), 0).subarray(0, 16))
      expect((await peer.hear(400)) === undefined, 'a datagram')
      return 'nothing'
    },
  },
  {
    id: 'channel/not-bound',
    section: 'RFC 8656 §12.6',
    level: 'MUST',
    rule: 'ChannelData on a channel that is not bound is discarded.',
    async run(trial) {
      const { client, peer } = await bound(trial)
      client.sendChannel(FIRST + 1, payload(20))
      const next = payload(21)
      client.sendChannel(FIRST, next)
      const heard = await peer.hear()
      expect(heard?.data.equals(next) === true, heard ? 'the wrong datagram' : 'nothing at all')
      return 'nothing'
    },
  },
  {
    id: 'channel/other-client',
    section: 'RFC 8656 §5',
    level: 'MUST',
    rule: 'ChannelData from another 5-tuple is discarded.',
    async run(trial) {
      const { peer } = await bound(trial)
      const stranger = await trial.client()
      // Over a stream, a message of STUN must come first for the server to know what it is.
      await stranger.ask(METHOD.Binding)
      stranger.sendChannel(FIRST, payload(20))
      expect((await peer.hear(400)) === undefined, 'a datagram')
      return 'nothing'
    },
  },
]

/** A call whose peer is bound to the first channel. */
async function bound(trial: Trial) {
  const call = await trial.call()
  const answer = await call.client.bind(FIRST, call.peer.address)
  if (answer.class !== CLASS.Success)
    throw new NotTested(`${describe(answer)} to ChannelBind 0x${FIRST.toString(16)}`)
  return call
}
