import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { CAPTURED } from '../browsers/captured.ts'
import { decode } from '../support/stun-message.ts'
import { captureBefore } from './capture.ts'
import { relayIceServer } from './data-channel.ts'
import { type Contender, runRow } from './row.ts'
import { startTurnfleet, type TestServer, USER } from './servers.ts'
import {
  chromiumClient,
  firefoxClient,
  nodeDatachannelClient,
  type WebRtcClient,
  wrtcClient,
} from './webrtc-clients.ts'
import { webRtcRows } from './webrtc-rows.ts'

const CALL = { messages: 4, messageBytes: 1000, everyMs: 0, timeoutMs: 20_000 }
/** How long a browser may take to delete its allocation. */
const LAST_PACKET_MS = 5_000
const CHANNEL_DATA = 'ChannelData'
type Way = 'udp' | 'tcp' | 'tls'

describe('WebRTC data channels through the relay', { timeout: 120_000 }, () => {
  let server: TestServer
  let contender: Contender
  before(async () => {
    server = await startTurnfleet()
    const { name, version, stop } = server
    contender = { name, version, users: server, rest: server, tokens: server, short: undefined, stop }
  })
  after(() => server.stop())

  const clients: readonly (readonly [
    name: string,
    launch: () => Promise<WebRtcClient>,
    ways: readonly Way[],
  ])[] = [
    ['Chromium', chromiumClient, ['udp', 'tcp', 'tls']],
    ['Firefox', () => firefoxClient([server.caFile]), ['udp', 'tcp', 'tls']],
    ['@roamhq/wrtc', async () => wrtcClient(), ['udp', 'tcp']],
    ['node-datachannel', async () => nodeDatachannelClient(), ['udp']],
  ]
  for (const [name, launch, ways] of clients) {
    it(`${name}: every byte, both ways, over ${ways.join(', ').toUpperCase()}`, async (t) => {
      const client = await launch()
      t.after(() => client.close())
      for (const row of webRtcRows(client, ways)) {
        const { outcome, evidence } = await runRow(row, contender)
        assert.equal(outcome, 'pass', `${row.what}: ${evidence}`)
      }
    })
  }

  const browsers: readonly (readonly [name: 'chromium' | 'firefox', launch: () => Promise<WebRtcClient>])[] =
    [
      ['chromium', chromiumClient],
      ['firefox', () => firefoxClient([server.caFile])],
    ]
  for (const [name, launch] of browsers) {
    it(`${name}: what is installed sends the packets that test/browsers holds the relay against`, async (t) => {
      const client = await launch()
      const capture = await captureBefore(server.port('udp'))
      t.after(async () => {
        await client.close()
        capture.close()
      })
      await client.call({ iceServers: [relayIceServer('udp', capture.port, USER)], ...CALL })
      const known = Object.values(CAPTURED[name]).map((hex) => shape(Buffer.from(hex, 'hex')))
      const shapes = () => new Set(capture.captured.map(({ bytes }) => shape(bytes)))
      const missing = () => known.filter((one) => !shapes().has(one))
      // The last, a Refresh of 0, is sent when the call is over.
      await capture.until(() => missing().length === 0, LAST_PACKET_MS)
      assert.deepEqual(missing(), [])
      assert.deepEqual(
        [...shapes()].filter((one) => !known.includes(one) && one !== CHANNEL_DATA),
        [],
      )
    })
  }
})

/** Type and attributes, with the lengths of those that do not depend on names and data. */
function shape(bytes: Buffer): string {
  const message = decode(bytes)
  if (!message) return CHANNEL_DATA
  const attributes = message.attributes.map(([type]) => type.toString(16))
  return `${message.method}/${message.class} ${attributes.join(' ')}`
}
