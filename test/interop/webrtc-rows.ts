import { type CallOptions, type CallResult, relayIceServer } from './data-channel.ts'
import { NotOffered, type Row } from './row.ts'
import { type TestServer, USER } from './servers.ts'
import type { WebRtcClient } from './webrtc-clients.ts'

const MESSAGES = 64
const MESSAGE_BYTES = 16_384
const TIMEOUT_MS = 20_000
/** A call on a server with short lifetimes: longer than three of them. */
const SHORT_CALL = { messages: 200, messageBytes: 1024, everyMs: 100, timeoutMs: 40_000 }

type Way = 'udp' | 'tcp' | 'tls'

/** The rows of a WebRTC client: a mebibyte each way over a data channel, each byte compared. */
export function webRtcRows(client: WebRtcClient, ways: readonly Way[]): readonly Row[] {
  return ways.map((way) => ({
    client: client.name,
    what: `a data channel over ${way.toUpperCase()}`,
    async run({ users }) {
      const load = { messages: MESSAGES, messageBytes: MESSAGE_BYTES, everyMs: 0, timeoutMs: TIMEOUT_MS }
      return verdict(await client.call(options(users, way, load)), MESSAGES * MESSAGE_BYTES)
    },
  }))
}

/** A call that outlasts its allocation three times, which libwebrtc refreshes at half of its lifetime. */
export function shortLifetimeRow(client: WebRtcClient): Row {
  return {
    client: client.name,
    what: 'a call of 20 s where allocations live 6 s',
    async run({ short }) {
      if (!short) throw new NotOffered('lifetimes are left as they are here')
      const { messages, messageBytes } = SHORT_CALL
      return verdict(await client.call(options(short, 'udp', SHORT_CALL)), messages * messageBytes)
    },
  }
}

function options(server: TestServer, way: Way, load: Omit<CallOptions, 'iceServers'>): CallOptions {
  return { iceServers: [relayIceServer(way, server.port(way), USER)], ...load }
}

/** Both ends heard every byte, by relay candidates only. */
function verdict({ ends, relayCandidates }: CallResult, bytes: number): string {
  if (relayCandidates < 2) throw new Error(`${relayCandidates} relay candidates`)
  for (const { receivedBytes, exact, relayProtocol } of ends) {
    if (receivedBytes !== bytes) throw new Error(`${receivedBytes} of ${bytes} bytes`)
    if (!exact) throw new Error('bytes came changed')
    if (relayProtocol === '' && ends[0].candidateType === 'host')
      throw new Error('the call went past the relay')
  }
  return `${2 * bytes} bytes, each compared`
}
