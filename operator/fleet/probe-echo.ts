import { randomBytes } from 'node:crypto'
import type { ClientEvent } from '../../relay/client/contract.ts'
import type { TurnClient } from '../../relay/client/turn-client.ts'
import type { TransportAddress } from '../../relay/stun/address.ts'
import { CHANNEL_NUMBER_MIN } from '../../relay/stun/channel-data.ts'
import type { ProbeSession } from './probe-session.ts'

/** One of the two allocations that send to each other. */
export interface ProbeSide {
  readonly session: ProbeSession
  readonly relayed: TransportAddress
}

const PAYLOAD_BYTES = 160
/** Datagrams may get lost: the payload is sent again after this time. */
const RESEND_MS = 200

/** Lets each side hear the other: the first by CreatePermission, the second by ChannelBind, which implies one. */
export async function permit(one: ProbeSide, two: ProbeSide, signal: AbortSignal): Promise<void> {
  await one.session.until(
    (client, now) => client.createPermission(now, [two.relayed]),
    (event) => (event.kind === 'permitted' ? true : undefined),
    signal,
  )
  await two.session.until(
    (client, now) => client.bindChannel(now, CHANNEL_NUMBER_MIN, one.relayed),
    (event) => (event.kind === 'bound' ? true : undefined),
    signal,
  )
}

/** Sends from each side to the other, by Send indication and by ChannelData, until the same bytes arrive. */
export async function exchange(one: ProbeSide, two: ProbeSide, signal: AbortSignal): Promise<void> {
  const there = randomBytes(PAYLOAD_BYTES)
  const back = randomBytes(PAYLOAD_BYTES)
  await Promise.all([
    deliver(one, two, there, (client) => client.sendIndication(two.relayed, there), signal),
    deliver(two, one, back, (client) => client.sendChannel(CHANNEL_NUMBER_MIN, back), signal),
  ])
}

async function deliver(
  from: ProbeSide,
  to: ProbeSide,
  payload: Uint8Array,
  send: (client: TurnClient) => void,
  signal: AbortSignal,
): Promise<void> {
  const resend = setInterval(() => from.session.act(send), RESEND_MS)
  try {
    const arrived = to.session.until(
      () => {},
      (event) => dataFrom(event, from.relayed),
      signal,
    )
    from.session.act(send)
    if (!(await arrived).equals(payload)) throw new Error('the data came through changed')
  } finally {
    clearInterval(resend)
  }
}

/** A copy of what a peer sent: the event's view ends with the event. */
function dataFrom(event: ClientEvent, peer: TransportAddress): Buffer | undefined {
  return event.kind === 'data' && event.peer.equals(peer) ? Buffer.from(event.data) : undefined
}
