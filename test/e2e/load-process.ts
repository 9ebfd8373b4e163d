import { createSocket } from 'node:dgram'
import { createInterface } from 'node:readline'
import { openUdp } from '../../operator/fleet/probe-connection.ts'
import { ProbeSession, RequestFailed } from '../../operator/fleet/probe-session.ts'
import type { TransportAddress } from '../../relay/stun/address.ts'
import { parseAddress } from '../../relay/stun/address-text.ts'
import type { LoadAnswer, LoadOrder } from './load.ts'

/**
 * Many TURN clients in one process. Each keeps an allocation, sends a datagram a second through it to a peer
 * that echoes, and counts as lost when it hears nothing for a while. Orders come as JSON lines on standard
 * input, answers go to standard output.
 */

const [peerAddress = ''] = process.argv.slice(2)
const REQUEST_TIMEOUT_MS = 5_000
const SILENCE_MS = 5_000
const SEND_MS = 1_000
const REFRESH_MS = 10_000
const PARALLEL = 10
/** As long as a packet of speech: the kernel path leaves very short ones to the relay. */
const PAYLOAD = Buffer.alloc(160, 'load')

interface LoadClient {
  relay: string
  session: ProbeSession
  heardAtMs: number
  lost: string | undefined
  timers: NodeJS.Timeout[]
}

const clients = new Set<LoadClient>()
const peer = await startPeer()

for await (const line of createInterface({ input: process.stdin })) {
  const { id, ...order } = JSON.parse(line) as LoadOrder & { id: number }
  const answer = await carryOut(order as LoadOrder)
  process.stdout.write(`${JSON.stringify({ id, ...answer })}\n`)
}
process.exit(0)

async function carryOut(order: LoadOrder): Promise<LoadAnswer> {
  const refusals: LoadAnswer['refusals'] = []
  if (order.do === 'open') {
    for (let left = order.count; left > 0; left -= PARALLEL) {
      const batch = Array.from({ length: Math.min(PARALLEL, left) }, () => open(order))
      for (const outcome of await Promise.all(batch)) if (outcome) refusals.push(outcome)
    }
  } else if (order.do === 'close') {
    const chosen = [...clients].filter(({ relay }) => !order.relay || relay === order.relay)
    await Promise.all(chosen.slice(order.keep).map(close))
  }
  const byRelay: Record<string, number> = {}
  for (const { relay } of clients) byRelay[relay] = (byRelay[relay] ?? 0) + 1
  return {
    byRelay,
    lost: [...clients].flatMap(({ lost, relay }) => (lost ? [`${relay}: ${lost}`] : [])),
    refusals,
  }
}

/** Opens one; answers why the relay refused, or undefined. */
async function open(order: LoadOrder & { do: 'open' }) {
  const [relay = '', port = ''] = order.address.split(':')
  const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS)
  const connection = await openUdp(relay, Number(port), signal)
  const session = new ProbeSession(connection, order.username, order.credential)
  try {
    const pick =
      <K extends string>(kind: K) =>
      (event: { kind: string }) =>
        event.kind === kind ? true : undefined
    await session.until((client, now) => client.allocate(now), pick('allocated'), signal)
    await session.until((client, now) => client.createPermission(now, [peer]), pick('permitted'), signal)
  } catch (error) {
    session.close()
    const failure = error instanceof RequestFailed ? error.failure : undefined
    return { code: failure?.code ?? 0, step: failure?.step ?? '', reason: String(error) }
  }
  clients.add(attend({ relay, session, heardAtMs: Date.now(), lost: undefined, timers: [] }))
  return undefined
}

function attend(client: LoadClient): LoadClient {
  const { session } = client
  void session
    .until(
      () => {},
      (event) => {
        if (event.kind === 'data') client.heardAtMs = Date.now()
        return undefined
      },
      new AbortController().signal,
    )
    .catch((error: Error) => {
      if (clients.has(client)) client.lost ??= error.message
    })
  const send = () => {
    session.act((turn) => turn.sendIndication(peer, PAYLOAD))
    if (Date.now() - client.heardAtMs > SILENCE_MS) client.lost ??= 'no echo'
  }
  client.timers.push(
    setInterval(send, SEND_MS),
    setInterval(() => session.act((turn, now) => turn.refresh(now)), REFRESH_MS),
  )
  return client
}

async function close(client: LoadClient): Promise<void> {
  clients.delete(client)
  for (const timer of client.timers) clearInterval(timer)
  await client.session
    .until(
      (turn, now) => turn.refresh(now, 0),
      (event) => (event.kind === 'closed' ? true : undefined),
      AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    )
    .catch((error: Error) => {
      process.stderr.write(`closing at ${client.relay}: ${error.message}\n`)
    })
  client.session.close()
}

async function startPeer(): Promise<TransportAddress> {
  const socket = createSocket('udp4')
  socket.on('message', (message, from) => socket.send(message, from.port, from.address))
  await new Promise<void>((resolve) => socket.bind(0, peerAddress, resolve))
  return parseAddress(peerAddress, socket.address().port)!
}
