import { randomBytes } from 'node:crypto'
import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import { CLASS, METHOD } from '../../../relay/stun/methods.ts'
import { type Attribute, encode } from '../../support/stun-message.ts'
import type { ConformanceCase } from '../case.ts'
import { peerAddress } from '../client.ts'
import { expect, payload, sameEndpoint, text } from '../trial.ts'

const SIZES = [1, 2, 3, 160, 1200]

/** Send and Data indications: RFC 8656 §11. */
export const DATA: readonly ConformanceCase[] = [
  {
    id: 'send/relayed',
    section: 'RFC 8656 §11.2',
    level: 'MUST',
    rule: 'The data of a Send indication leaves from the relayed address, every byte, whatever its length.',
    async run(trial) {
      const { client, relayed, peer } = await trial.call()
      for (const size of SIZES) {
        const sent = payload(size)
        client.send(peer.address, sent)
        const heard = await peer.hear()
        expect(heard?.data.equals(sent) === true, heard ? `${heard.data.length} of ${size} bytes` : 'nothing')
        expect(sameEndpoint(heard?.from, relayed), `from ${heard ? text(heard.from) : 'nowhere'}`)
      }
      return 'every byte'
    },
  },
  {
    id: 'send/empty',
    section: 'RFC 8656 §11.2',
    level: 'MUST',
    rule: 'A Send indication with a DATA of no bytes is relayed as an empty datagram.',
    async run(trial) {
      const { client, peer } = await trial.call()
      client.send(peer.address, Buffer.alloc(0))
      const heard = await peer.hear()
      expect(heard?.data.length === 0, heard ? `${heard.data.length} bytes` : 'nothing')
      return 'an empty datagram'
    },
  },
  {
    id: 'send/without-permission',
    section: 'RFC 8656 §11.2',
    level: 'MUST',
    rule: 'A Send indication to a peer without permission is discarded.',
    async run(trial) {
      const peer = await trial.peer()
      const client = await trial.client()
      await client.allocate()
      client.send(peer.address, payload(20))
      expect((await peer.hear(400)) === undefined, 'a datagram')
      return 'nothing'
    },
  },
  incomplete('without-data', 'DATA', (address) => [address]),
  incomplete('without-peer', 'XOR-PEER-ADDRESS', () => [[ATTRIBUTE.Data, payload(20)]]),
  {
    id: 'send/unknown-required',
    section: 'RFC 8489 §6.3.2',
    level: 'MUST',
    rule: 'A Send indication with an unknown comprehension-required attribute is discarded.',
    async run(trial) {
      const { client, peer } = await trial.call()
      client.send(peer.address, payload(20), [[0x7abc, Buffer.alloc(4)]])
      expect((await peer.hear(400)) === undefined, 'a datagram')
      return 'nothing'
    },
  },
  {
    id: 'send/no-response',
    section: 'RFC 8489 §6.3.2',
    level: 'MUST',
    rule: 'A Send indication is never answered, not even without an allocation.',
    async run(trial) {
      const client = await trial.client()
      const id = randomBytes(12)
      const attributes: Attribute[] = [
        peerAddress({ ip: trial.target.server.ip, port: 9 }, id),
        [ATTRIBUTE.Data, payload(20)],
      ]
      return client.silence(encode({ method: METHOD.Send, class: CLASS.Indication, id, attributes }))
    },
  },
  {
    id: 'data/relayed',
    section: 'RFC 8656 §11.3',
    level: 'MUST',
    rule: 'What a peer sends comes as a Data indication with its address and every byte.',
    async run(trial) {
      const { client, relayed, peer } = await trial.call()
      for (const size of SIZES) {
        const sent = payload(size)
        peer.send(relayed, sent)
        const heard = await client.data()
        expect(
          heard?.data?.equals(sent) === true,
          heard ? `${heard.data?.length} of ${size} bytes` : 'nothing',
        )
        expect(sameEndpoint(heard?.peer, peer.address), `from ${heard?.peer ? text(heard.peer) : 'nobody'}`)
      }
      return 'every byte'
    },
  },
  {
    id: 'data/empty',
    section: 'RFC 8656 §11.3',
    level: 'MUST',
    rule: 'An empty datagram of a peer comes as a Data indication with an empty DATA.',
    async run(trial) {
      const { client, relayed, peer } = await trial.call()
      peer.send(relayed, Buffer.alloc(0))
      const heard = await client.data()
      expect(
        heard?.data?.length === 0,
        heard ? `DATA ${heard.data ? `of ${heard.data.length} bytes` : 'missing'}` : 'nothing',
      )
      return 'an empty DATA'
    },
  },
  {
    id: 'data/from-a-client',
    section: 'RFC 8489 §6.3',
    level: 'MUST',
    rule: 'A Data indication of a client is discarded.',
    async run(trial) {
      const { client, peer } = await trial.call()
      const id = randomBytes(12)
      const attributes: Attribute[] = [peerAddress(peer.address, id), [ATTRIBUTE.Data, payload(20)]]
      await client.silence(encode({ method: METHOD.Data, class: CLASS.Indication, id, attributes }))
      expect((await peer.hear(10)) === undefined, 'a datagram to the peer')
      return 'silence'
    },
  },
]

/** A Send indication that lacks an attribute: discarded, and what follows it is relayed. */
function incomplete(
  name: string,
  missing: string,
  attributes: (address: Attribute) => Attribute[],
): ConformanceCase {
  return {
    id: `send/${name}`,
    section: 'RFC 8656 §11.2',
    level: 'MUST',
    rule: `A Send indication without ${missing} is discarded.`,
    async run(trial) {
      const { client, peer } = await trial.call()
      const id = randomBytes(12)
      const bytes = encode({
        method: METHOD.Send,
        class: CLASS.Indication,
        id,
        attributes: attributes(peerAddress(peer.address, id)),
      })
      client.wire.send(bytes)
      const next = payload(33)
      client.send(peer.address, next)
      const heard = await peer.hear()
      expect(
        heard?.data.equals(next) === true,
        heard ? `a datagram of ${heard.data.length} bytes` : 'nothing at all',
      )
      return 'nothing'
    },
  }
}
