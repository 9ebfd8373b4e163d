import { randomBytes } from 'node:crypto'
import { ATTRIBUTE, TRANSPORT_PROTOCOL } from '../../../relay/stun/attribute-types.ts'
import { ERROR } from '../../../relay/stun/error-codes.ts'
import { CLASS, METHOD } from '../../../relay/stun/methods.ts'
import {
  type Attribute,
  addressesOf,
  attributeOf,
  codeOf,
  decode,
  type Endpoint,
  firstByte,
  type Message,
  uint32,
} from '../../support/stun-message.ts'
import { Broken, type ConformanceCase, NotTested } from '../case.ts'
import { type Client, describe, peerAddress } from '../client.ts'
import { BYTES, closesWithin, dial, exchange, gather, listen } from '../tcp-peer.ts'
import { expect, expectCode, expectSuccess, payload, type Trial } from '../trial.ts'

const TCP: Attribute = [ATTRIBUTE.RequestedTransport, firstByte(TRANSPORT_PROTOCOL.Tcp)]
const STREAMS = ['tcp', 'tls'] as const
const ANSWER_MS = 3_000

/** TURN extensions for TCP allocations: RFC 6062 §5. */
export const TCP_RELAY: readonly ConformanceCase[] = [
  {
    id: 'tcp/over-udp',
    section: 'RFC 6062 §5.1',
    level: 'MUST',
    rule: 'A TCP allocation asked for over UDP is answered 400.',
    over: ['udp'],
    async run(trial) {
      const client = await trial.client()
      const answer = await client.request(METHOD.Allocate, [TCP])
      if (codeOf(answer) === ERROR.UnsupportedTransportProtocol)
        throw new NotTested('442: no TCP allocations')
      return expectCode(answer, ERROR.BadRequest)
    },
  },
  {
    id: 'tcp/allocate',
    section: 'RFC 6062 §5.1',
    level: 'MUST',
    rule: 'A TCP allocation succeeds with an address at which the server accepts connections.',
    over: STREAMS,
    async run(trial) {
      const { client, relayed } = await allocation(trial)
      trial.permitted(await client.permit({ ip: trial.peerIp, port: 0 }))
      const peer = await dial(trial, relayed)
      peer.destroy()
      return 'success, and a connection'
    },
  },
  ...(
    [
      ['dont-fragment', 'DONT-FRAGMENT', [ATTRIBUTE.DontFragment, Buffer.alloc(0)]],
      ['even-port', 'EVEN-PORT', [ATTRIBUTE.EvenPort, Buffer.from([0])]],
      ['token', 'RESERVATION-TOKEN', [ATTRIBUTE.ReservationToken, Buffer.alloc(8)]],
    ] satisfies [string, string, Attribute][]
  ).map(
    ([name, attribute, value]): ConformanceCase => ({
      id: `tcp/${name}`,
      section: 'RFC 6062 §5.1',
      level: 'MUST',
      rule: `A TCP allocation with ${attribute} is answered 400.`,
      over: STREAMS,
      async run(trial) {
        await allocation(trial)
        const client = await trial.client()
        const answer = await client.request(METHOD.Allocate, [TCP, value])
        client.allocated = answer.class === CLASS.Success
        return expectCode(answer, ERROR.BadRequest)
      },
    }),
  ),
  {
    id: 'tcp/connect',
    section: 'RFC 6062 §5.2',
    level: 'MUST',
    rule: 'Connect reaches the peer and answers CONNECTION-ID; after ConnectionBind, bytes go both ways as they are.',
    over: STREAMS,
    async run(trial) {
      const { client } = await allocation(trial)
      const { address, accepted } = await listen(trial)
      const answer = await connectTo(client, address)
      trial.permitted(answer)
      const data = await bindTo(trial, client, answer)
      const peer = await accepted
      await exchange(data, peer)
      return `${BYTES} bytes each way`
    },
  },
  {
    id: 'tcp/early-data',
    section: 'RFC 6062 §5.4',
    level: 'MUST',
    rule: 'What the peer sends before ConnectionBind is buffered, and comes after it.',
    over: STREAMS,
    async run(trial) {
      const { client } = await allocation(trial)
      const { address, accepted } = await listen(trial)
      const answer = await connectTo(client, address)
      trial.permitted(answer)
      const peer = await accepted
      const early = payload(1000)
      peer.write(early)
      await new Promise((resolve) => setTimeout(resolve, 100))
      const data = await bindTo(trial, client, answer)
      const heard = await gather(data, early.length)
      expect(heard.equals(early), `${heard.length} of ${early.length} bytes`)
      return 'every byte'
    },
  },
  {
    id: 'tcp/connect-twice',
    section: 'RFC 6062 §5.2',
    level: 'MUST',
    rule: 'A second Connect to the same peer is answered 446.',
    over: STREAMS,
    async run(trial) {
      const { client } = await allocation(trial)
      const { address } = await listen(trial)
      trial.permitted(await connectTo(client, address))
      return expectCode(await connectTo(client, address), ERROR.ConnectionAlreadyExists)
    },
  },
  {
    id: 'tcp/connect-refused',
    section: 'RFC 6062 §5.2',
    level: 'MUST',
    rule: 'A Connect that the peer refuses is answered 447.',
    over: STREAMS,
    async run(trial) {
      const { client } = await allocation(trial)
      const { address, close } = await listen(trial)
      await close()
      const answer = await connectTo(client, address)
      if (codeOf(answer) === ERROR.Forbidden) throw new NotTested('the server forbids our peers (403)')
      return expectCode(answer, ERROR.ConnectionTimeoutOrFailure)
    },
  },
  {
    id: 'tcp/connect-no-peer',
    section: 'RFC 6062 §5.2',
    level: 'MUST',
    rule: 'A Connect without XOR-PEER-ADDRESS is answered 400.',
    over: STREAMS,
    async run(trial) {
      const { client } = await allocation(trial)
      return expectCode(await client.request(METHOD.Connect), ERROR.BadRequest)
    },
  },
  {
    id: 'tcp/connect-no-allocation',
    section: 'RFC 6062 §5.2',
    level: 'MUST',
    rule: 'A Connect without an allocation is answered 437.',
    over: STREAMS,
    async run(trial) {
      await allocation(trial)
      const client = await trial.client()
      return expectCode(
        await connectTo(client, { ip: trial.target.peerAddress ?? trial.target.server.ip, port: 9999 }),
        ERROR.AllocationMismatch,
      )
    },
  },
  {
    id: 'tcp/bind-unknown',
    section: 'RFC 6062 §5.4',
    level: 'MUST',
    rule: 'A ConnectionBind with an unknown CONNECTION-ID is answered 400.',
    over: STREAMS,
    async run(trial) {
      const control = (await allocation(trial)).client
      const client = await trial.client()
      const attributes: Attribute[] = [[ATTRIBUTE.ConnectionId, uint32(0xdeadbeef)]]
      client.realm = control.realm
      client.nonce = control.nonce
      const answer = await client.request(METHOD.ConnectionBind, attributes)
      return expectCode(answer, ERROR.BadRequest)
    },
  },
  {
    id: 'tcp/incoming',
    section: 'RFC 6062 §5.3',
    level: 'MUST',
    rule: 'A peer with permission that connects is announced by ConnectionAttempt with its address, and can be bound.',
    over: STREAMS,
    async run(trial) {
      const { client, relayed } = await allocation(trial)
      trial.permitted(await client.permit({ ip: trial.peerIp, port: 0 }))
      const peer = await dial(trial, relayed)
      const bytes = await client.wire.take(
        (one) => decode(one)?.method === METHOD.ConnectionAttempt,
        ANSWER_MS,
      )
      const attempt = bytes && decode(bytes)
      if (!attempt) throw new Broken('no ConnectionAttempt')
      const [from] = addressesOf(attempt, ATTRIBUTE.XorPeerAddress)
      expect(from?.port === peer.localPort, `a ConnectionAttempt of port ${from?.port}`)
      await exchange(await bindTo(trial, client, attempt), peer)
      return `${BYTES} bytes each way`
    },
  },
  {
    id: 'tcp/incoming-without-permission',
    section: 'RFC 6062 §5.3',
    level: 'MUST',
    rule: 'The connection of a peer without permission is closed at once, and not announced.',
    over: STREAMS,
    async run(trial) {
      const { client, relayed } = await allocation(trial)
      const peer = await dial(trial, relayed).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ECONNRESET') throw error
      })
      const closed = !peer || closesWithin(peer, 1000)
      expect(await closed, 'the connection stays open')
      const attempt = await client.wire.take((one) => decode(one)?.method === METHOD.ConnectionAttempt, 50)
      expect(attempt === undefined, 'a ConnectionAttempt')
      return 'closed'
    },
  },
  {
    id: 'tcp/peer-closes',
    section: 'RFC 6062 §5.5',
    level: 'MUST',
    rule: 'When the peer closes, the data connection of the client is closed.',
    over: STREAMS,
    async run(trial) {
      const { client } = await allocation(trial)
      const { address, accepted } = await listen(trial)
      const answer = await connectTo(client, address)
      trial.permitted(answer)
      const data = await bindTo(trial, client, answer)
      const peer = await accepted
      peer.end()
      expect(await data.wire.ended(2000), 'the data connection stays open')
      return 'closed'
    },
  },
  {
    id: 'tcp/client-closes',
    section: 'RFC 6062 §5.5',
    level: 'MUST',
    rule: 'When the client closes its data connection, that to the peer is closed.',
    over: STREAMS,
    async run(trial) {
      const { client } = await allocation(trial)
      const { address, accepted } = await listen(trial)
      const answer = await connectTo(client, address)
      trial.permitted(answer)
      const data = await bindTo(trial, client, answer)
      const peer = await accepted
      const closed = closesWithin(peer, 2000)
      data.wire.close()
      expect(await closed, 'the connection to the peer stays open')
      return 'closed'
    },
  },
]

async function allocation(trial: Trial): Promise<{ client: Client; relayed: Endpoint }> {
  const client = await trial.client()
  const answer = await client.request(METHOD.Allocate, [TCP])
  client.allocated = answer.class === CLASS.Success
  if ([ERROR.UnsupportedTransportProtocol, ERROR.Forbidden].some((code) => code === codeOf(answer))) {
    throw new NotTested(`${describe(answer)}: no TCP allocations`)
  }
  expectSuccess(answer)
  const [relayed] = addressesOf(answer, ATTRIBUTE.XorRelayedAddress)
  if (!relayed) throw new Broken('a success without XOR-RELAYED-ADDRESS')
  return { client, relayed }
}

async function connectTo(client: Client, peer: Endpoint): Promise<Message> {
  const id = randomBytes(12)
  return client.request(METHOD.Connect, [peerAddress(peer, id)], { id })
}

/** A connection of its own, bound to that of the peer by the CONNECTION-ID in a message. */
async function bindTo(trial: Trial, control: Client, message: Message): Promise<Client> {
  const connection = attributeOf(message, ATTRIBUTE.ConnectionId)
  if (!connection) throw new Broken(`${describe(message)} without CONNECTION-ID`)
  const data = await trial.client()
  const attributes: Attribute[] = [[ATTRIBUTE.ConnectionId, connection]]
  // As on the control connection; a server that binds nonces to addresses says 438 with another one.
  data.realm = control.realm
  data.nonce = control.nonce
  const answer = await data.request(METHOD.ConnectionBind, attributes)
  if (answer.class !== CLASS.Success) throw new Broken(`${describe(answer)} to ConnectionBind`)
  data.wire.raw()
  return data
}
