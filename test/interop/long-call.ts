import { parseArgs } from 'node:util'
import { type CallOptions, type CallResult, relayIceServer } from './data-channel.ts'
import { startTurnfleet, USER } from './servers.ts'
import { chromiumClient, firefoxClient, type WebRtcClient, wrtcClient } from './webrtc-clients.ts'

/** Calls that outlast every lifetime of RFC 8656 (permission 5, allocation and channel 10 minutes), in real time. */
const MESSAGE_BYTES = 1024
const EVERY_MS = 100
/** What a call may take beyond its length to connect and to end. */
const MARGIN_MS = 30_000

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '12' } } })
const minutes = Number(values.minutes)
if (!(minutes > 0 && minutes <= 60)) {
  process.stderr.write('--minutes must be above 0 and at most 60\n')
  process.exit(2)
}

const messages = Math.round((minutes * 60_000) / EVERY_MS)
const server = await startTurnfleet()
const clients: WebRtcClient[] = []
try {
  clients.push(await chromiumClient(), await firefoxClient([server.caFile]), wrtcClient())
  const calls = clients.flatMap((client) =>
    (['udp', 'tcp'] as const).map(async (protocol) => {
      const options: CallOptions = {
        iceServers: [relayIceServer(protocol, server.port(protocol), USER)],
        messages,
        messageBytes: MESSAGE_BYTES,
        everyMs: EVERY_MS,
        timeoutMs: minutes * 60_000 + MARGIN_MS,
      }
      const started = performance.now()
      const result = await client.call(options).catch((error: Error) => error.message)
      const seconds = Math.round((performance.now() - started) / 1000)
      const verdict = typeof result === 'string' ? result : describe(result)
      process.stdout.write(`${client.name} ${client.version} over ${protocol}: ${seconds} s, ${verdict}\n`)
      return typeof result !== 'string' && whole(result)
    }),
  )
  process.exitCode = (await Promise.all(calls)).every(Boolean) ? 0 : 1
} finally {
  for (const client of clients) await client.close()
  await server.stop()
}

function whole({ ends }: CallResult): boolean {
  return ends.every(
    ({ receivedBytes, exact, candidateType }) =>
      exact && receivedBytes === messages * MESSAGE_BYTES && candidateType === 'relay',
  )
}

function describe({ ends, connectedMs }: CallResult): string {
  const heard = ends.map(({ receivedBytes, exact }) => `${receivedBytes} bytes ${exact ? 'exact' : 'WRONG'}`)
  return `connected after ${connectedMs} ms, ${heard.join(' and ')}, by ${ends[0].candidateType}`
}
