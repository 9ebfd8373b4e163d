import type { RelayConfigInput } from '../../relay/api/config.ts'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { METHOD } from '../../relay/stun/methods.ts'
import type { StunWriter } from '../../relay/stun/writer.ts'
import type { Output } from '../../relay/turn/contract.ts'
import { address, type Client, type Heard, type RequestOptions, TurnHarness } from './turn-harness.ts'

const CLIENT = '198.51.100.7'

/** A client with a TCP allocation (RFC 6062) on a TURN server machine, and a hand on what peers do. */
export class TcpAllocation {
  readonly harness: TurnHarness
  /** On the control connection, link 2. */
  readonly client: Client
  /** The answer to its Allocate. */
  readonly answer: Heard | undefined
  readonly relayed: string
  #lastLink = 100

  constructor(input: Partial<RelayConfigInput> = {}, options: RequestOptions = {}) {
    this.harness = new TurnHarness({ peers: { tcp: true }, ...input }, { tcpPeers: true })
    this.client = this.stream(2)
    this.answer = allocateTcp(this.client, () => undefined, options)
    this.relayed = this.answer?.relayed?.[0] ?? ''
  }

  get server() {
    return this.harness.server
  }

  /** A client on a new stream. */
  stream(link = ++this.#lastLink): Client {
    const from = `${CLIENT}:${4000 + link}`
    this.harness.addLink(link, 'tcp', '192.0.2.1:3478', from)
    return this.harness.client(from, link)
  }

  /** Sends a Connect; undefined while it is not answered. */
  connect(peer: string, options: RequestOptions = {}): Heard | undefined {
    this.client.nonce ??= this.client.ask(METHOD.Connect)?.nonce
    const from = this.harness.heard.length
    this.client.request(METHOD.Connect, (writer) => writePeer(writer, peer), options)
    return this.harness.heard.slice(from).find(({ method }) => method === 'Connect')
  }

  /** Plays the peer that accepts the last Connect; the client's answer. */
  accept(): Heard | undefined {
    this.server.peerConnected(this.connectPeers().at(-1)!.connection, this.harness.now)
    return this.harness.drain().at(-1)
  }

  /** Plays a peer that connects to the relayed address: its CONNECTION-ID, and what the client heard. */
  arrive(from: string, relayed = this.relayed): { id: number | undefined; heard: Heard | undefined } {
    const [relay] = [...this.harness.bound].find(([, { port }]) => port === address(relayed).port) ?? [-1]
    const id = this.server.handlePeerConnection(relay, address(from), this.harness.now)
    return { id, heard: this.harness.drain().at(-1) }
  }

  /** Sends ConnectionBind on a stream. */
  bind(id: number | undefined, client = this.stream(), options: RequestOptions = {}): Heard | undefined {
    return client.request(
      METHOD.ConnectionBind,
      (writer) => {
        if (id !== undefined) writer.addUint32(ATTRIBUTE.ConnectionId, id)
      },
      options,
    )
  }

  connectPeers() {
    return this.of('connect-peer')
  }

  of<K extends Output['kind']>(kind: K): Extract<Output, { kind: K }>[] {
    return this.harness.events.filter((event): event is Extract<Output, { kind: K }> => event.kind === kind)
  }
}

/** Allocate for TCP, with more attributes where wanted. */
export function allocateTcp(
  client: Client,
  attributes: (writer: StunWriter) => unknown = () => undefined,
  options: RequestOptions = {},
): Heard | undefined {
  const withTransport = (writer: StunWriter) => {
    writer.addFirstByte(ATTRIBUTE.RequestedTransport, 6)
    attributes(writer)
  }
  return client.request(METHOD.Allocate, withTransport, options)
}

function writePeer(writer: StunWriter, peer: string): void {
  writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address(peer))
}
