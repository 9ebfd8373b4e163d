import dgram from 'node:dgram'
import { TurnClient } from '../../../relay/client/turn-client.ts'
import { nodeCrypto } from '../../../relay/io/node-crypto.ts'
import { parseAddress } from '../../../relay/stun/address-text.ts'

const CHANNEL = 0x4000
/** A peer that nothing is sent to. */
const PEER_PORT = 9999
/** A server that answers later than that counts as one that did not. */
const GIVE_UP_MS = 2_000

export interface CycleOptions {
  readonly server: { readonly address: string; readonly port: number }
  readonly local: string
  readonly username: string
  readonly password: string
}

/**
 * The life of an allocation without media, from a port of its own: a challenge, Allocate, CreatePermission,
 * ChannelBind, and Refresh with a lifetime of 0. `done` hears whether all five were answered.
 */
export function runCycle(
  { server, local, username, password }: CycleOptions,
  done: (whole: boolean) => void,
): void {
  const socket = dgram.createSocket('udp4')
  const turn = new TurnClient({ transport: 'udp', username, password, crypto: nodeCrypto })
  const peer = parseAddress(local, PEER_PORT)!
  const end = (whole: boolean) => {
    clearTimeout(timer)
    socket.close()
    done(whole)
  }
  const timer = setTimeout(() => end(false), GIVE_UP_MS)
  const send = () => {
    for (let bytes = turn.nextTransmit(); bytes; bytes = turn.nextTransmit()) socket.send(bytes)
  }
  socket.on('error', () => end(false))
  socket.on('message', (message) => {
    const now = performance.now()
    turn.handleData(message, 0, message.length, now)
    const event = turn.nextEvent()
    if (event?.kind === 'allocated') turn.createPermission(now, [peer])
    else if (event?.kind === 'permitted') turn.bindChannel(now, CHANNEL, peer)
    else if (event?.kind === 'bound') turn.refresh(now, 0)
    else if (event) return end(event.kind === 'closed')
    send()
  })
  socket.bind(0, local, () => {
    socket.connect(server.port, server.address, () => {
      turn.allocate(performance.now())
      send()
    })
  })
}
