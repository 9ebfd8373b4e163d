import { type CallOptions, callThroughRelay, type PeerConnectionClass } from './data-channel.ts'

/** A process of its own for a WebRTC implementation in native code: makes one call and prints its result. */
const [, , implementation = '', options = ''] = process.argv

async function load(): Promise<PeerConnectionClass> {
  if (implementation === 'wrtc') {
    const { default: wrtc } = await import('@roamhq/wrtc')
    return wrtc.RTCPeerConnection as unknown as PeerConnectionClass
  }
  const { RTCPeerConnection } = await import('node-datachannel/polyfill')
  return RTCPeerConnection as unknown as PeerConnectionClass
}

const result = await callThroughRelay(await load(), JSON.parse(options) as CallOptions).catch(
  (error: Error) => ({
    failed: error.message,
  }),
)
// Both leave threads and handles behind that keep a process alive.
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit())
