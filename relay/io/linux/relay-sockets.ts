import type { TransportAddress } from '../../stun/address.ts'
import { NumberMap } from '../../stun/number-map.ts'
import type { BindFailure } from '../../turn/contract.ts'
import { TokenBucket } from '../../turn/token-bucket.ts'
import { type IoHandler, RELAY_BUFFER_BYTES } from '../io.ts'
import { PEER_ERRORS_PER_SECOND } from './peer-errors.ts'
import type { UdpSocket, UdpSocketFactory } from './udp-socket.ts'

/** Rounds of answers in one turn: an answer may ask for the next port. */
const ANSWER_ROUNDS_MAX = 8

export class RelaySocket {
  readonly kind = 'relay'
  readonly id: number
  readonly socket: UdpSocket
  #errorBudget: TokenBucket | undefined

  constructor(id: number, socket: UdpSocket) {
    this.id = id
    this.socket = socket
  }

  /** Of what ICMP says of its datagrams; most sockets never need it. */
  get errorBudget(): TokenBucket {
    this.#errorBudget ??= new TokenBucket(PEER_ERRORS_PER_SECOND)
    return this.#errorBudget
  }
}

/** The sockets that face peers, and how the calls that bind them went. */
export class RelaySockets {
  readonly #factory: UdpSocketFactory
  readonly #watch: (relay: RelaySocket) => void
  readonly #byId = new NumberMap<RelaySocket>()
  #answers: { id: number; relay: RelaySocket | undefined; failure: BindFailure | undefined }[] = []

  constructor(factory: UdpSocketFactory, watch: (relay: RelaySocket) => void) {
    this.#factory = factory
    this.#watch = watch
  }

  /** Is there an answer to tell? */
  get answering(): boolean {
    return this.#answers.length > 0
  }

  get(id: number): RelaySocket | undefined {
    return this.#byId.get(id)
  }

  bind(id: number, bind: TransportAddress, dontFragment: boolean): void {
    let relay: RelaySocket | undefined
    let failure: BindFailure | undefined
    try {
      const options = { bind, bufferBytes: RELAY_BUFFER_BYTES, dontFragment, keepErrors: true }
      relay = new RelaySocket(id, this.#factory.open(options))
      this.#watch(relay)
      this.#byId.set(id, relay)
    } catch (error) {
      failure = (error as NodeJS.ErrnoException).code === 'EADDRINUSE' ? 'port-in-use' : 'unavailable'
    }
    this.#answers.push({ id, relay, failure })
  }

  /** Forgets a socket, which the caller closes. */
  remove(id: number): RelaySocket | undefined {
    const relay = this.#byId.get(id)
    this.#byId.delete(id)
    return relay
  }

  removeAll(): RelaySocket[] {
    const relays = this.#byId.values()
    this.#byId.clear()
    return relays
  }

  /** Says how `bind` went: later than its call, which may come from within an answer. */
  answer(handler: IoHandler): void {
    for (let round = 0; round < ANSWER_ROUNDS_MAX && this.answering; round++) {
      const answers = this.#answers
      this.#answers = []
      for (const { id, relay, failure } of answers) {
        if (failure) handler.relayBindFailed(id, failure)
        else if (this.#byId.get(id) === relay) handler.relayBound(id)
      }
      handler.batchEnd()
    }
  }
}
