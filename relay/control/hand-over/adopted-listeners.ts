import type { ListeningSocket } from '../../io/hand-over.ts'
import type { BoundListener, ListenerOptions, RelayIo } from '../../io/io.ts'
import { formatIp, parseAddress } from '../../stun/address-text.ts'

type Listening = Pick<RelayIo, 'listen' | 'closeListener'>

/** Listens on the sockets of the relay before, as far as it had those that are asked for. */
export class AdoptedListeners implements Listening {
  readonly #io: Listening
  readonly #sockets = new Map<string, ListeningSocket[]>()
  #joins = false
  readonly #direct: ListeningSocket[] = []
  #adopted = 0

  constructor(io: Listening) {
    this.#io = io
  }

  /** How many sockets of the relay before are in use. */
  get adopted(): number {
    return this.#adopted
  }

  /** Those of them that take plain requests, and no balancer stands before. */
  get direct(): readonly ListeningSocket[] {
    return this.#direct
  }

  adopt(sockets: readonly ListeningSocket[]): void {
    for (const socket of sockets) {
      const key = keyOf(socket)
      this.#sockets.set(key, [...(this.#sockets.get(key) ?? []), socket])
    }
  }

  /** From now on beside the sockets that a relay before has for its clients alone. */
  join(): void {
    this.#joins = true
  }

  async listen(options: ListenerOptions): Promise<BoundListener> {
    const { protocol, address, port } = options
    const transport = protocol === 'udp' || protocol === 'dtls' ? 'udp' : 'tcp'
    const key = keyOf({ transport, address, port })
    const adopted = this.#sockets.get(key)
    if (!adopted)
      return this.#io.listen(this.#joins ? { ...options, shared: 'joined', besideClients: true } : options)
    this.#sockets.delete(key)
    this.#adopted += adopted.length
    if (!options.proxyFrom && protocol !== 'dtls') this.#direct.push(...adopted.slice(0, 1))
    return this.#io.listen({ ...options, descriptors: adopted.map(({ descriptor }) => descriptor) })
  }

  closeListener(id: number): Promise<void> {
    return this.#io.closeListener(id)
  }

  /** The sockets that nobody has asked for. */
  takeRest(): ListeningSocket[] {
    const rest = [...this.#sockets.values()].flat()
    this.#sockets.clear()
    return rest
  }
}

function keyOf({
  transport,
  address,
  port,
}: Pick<ListeningSocket, 'transport' | 'address' | 'port'>): string {
  const parsed = parseAddress(address, port)
  return `${transport} ${parsed ? formatIp(parsed) : address} ${port}`
}
