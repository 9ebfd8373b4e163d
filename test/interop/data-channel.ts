/** How the two ends of a data channel reach each other, and what they send. */
export interface CallOptions {
  readonly iceServers: readonly { urls: string; username: string; credential: string }[]
  /** Messages each end sends to the other, and how large each is. */
  readonly messages: number
  readonly messageBytes: number
  /** Time between two messages of one end; 0 sends as fast as the channel takes them. */
  readonly everyMs: number
  readonly timeoutMs: number
}

/** A TURN server on loopback as a page names it. */
export function relayIceServer(
  protocol: 'udp' | 'tcp' | 'tls',
  port: number,
  user: { username: string; password: string },
): CallOptions['iceServers'][number] {
  const scheme = protocol === 'tls' ? 'turns' : 'turn'
  const transport = protocol === 'udp' ? 'udp' : 'tcp'
  // Firefox looks for a name in the certificate, not for an address.
  const host = protocol === 'tls' ? 'localhost' : '127.0.0.1'
  const urls = `${scheme}:${host}:${port}?transport=${transport}`
  return { urls, username: user.username, credential: user.password }
}

/** What one end heard of the other. */
export interface CallEnd {
  readonly sentBytes: number
  readonly receivedBytes: number
  /** Whether each byte that came is the one that was sent, in order. */
  readonly exact: boolean
  /** Of the local candidate that carried the call, where the client tells. */
  readonly candidateType: string
  readonly relayProtocol: string
}

export interface CallResult {
  readonly ends: readonly [CallEnd, CallEnd]
  readonly connectedMs: number
  /** Relay candidates that were gathered. */
  readonly relayCandidates: number
  readonly errors: readonly string[]
}

/** What the call needs of a WebRTC implementation; browsers, @roamhq/wrtc and node-datachannel have it. */
export type PeerConnectionClass = new (configuration: object) => RTCPeerConnectionLike

export interface RTCPeerConnectionLike {
  readonly connectionState: string
  onicecandidate: ((event: { candidate: RTCIceCandidateLike | null }) => void) | null
  onicecandidateerror: ((event: { errorCode: number; errorText: string; url: string }) => void) | null
  ondatachannel: ((event: { channel: RTCDataChannelLike }) => void) | null
  onconnectionstatechange: (() => void) | null
  createDataChannel(label: string): RTCDataChannelLike
  createOffer(): Promise<object>
  createAnswer(): Promise<object>
  setLocalDescription(description: object): Promise<void>
  setRemoteDescription(description: object): Promise<void>
  addIceCandidate(candidate: RTCIceCandidateLike): Promise<void>
  getStats(): Promise<{ forEach(visit: (stat: Record<string, unknown>) => void): void }>
  close(): void
}

interface RTCIceCandidateLike {
  readonly candidate: string
}

interface RTCDataChannelLike {
  binaryType: string
  readyState: string
  readonly bufferedAmount: number
  onopen: (() => void) | null
  onmessage: ((event: { data: ArrayBuffer }) => void) | null
  send(data: Uint8Array): void
}

/**
 * Two peer connections that may use relay candidates only, and a stream of bytes each way between them. It
 * refers to nothing outside of itself: browsers are sent its source.
 */
export async function callThroughRelay(
  PeerConnection: PeerConnectionClass,
  options: CallOptions,
): Promise<CallResult> {
  const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
  const start = Date.now()
  const configuration = { iceServers: options.iceServers, iceTransportPolicy: 'relay' }
  const pair = [new PeerConnection(configuration), new PeerConnection(configuration)] as const
  const errors: string[] = []
  const total = options.messages * options.messageBytes
  /** What is under way, for the message where it is not done in time. */
  const progress: { step: string; heardBytes: number[]; waitingBytes: () => number[] } = {
    step: 'connecting',
    heardBytes: [0, 0],
    waitingBytes: () => [],
  }
  let relayCandidates = 0
  let connectedMs = 0

  /** The bytes that an end sends: a stream of its own from a linear congruential generator. */
  function stream(seed: number): () => number {
    let state = seed
    return () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state >>> 24
    }
  }

  function trickle(from: RTCPeerConnectionLike, to: RTCPeerConnectionLike, described: Promise<void>): void {
    from.onicecandidate = ({ candidate }) => {
      if (!candidate?.candidate) return
      if (candidate.candidate.includes(' typ relay')) relayCandidates++
      described
        .then(() => to.addIceCandidate(candidate))
        .catch((error: unknown) => errors.push(`candidate: ${String(error)}`))
    }
    from.onicecandidateerror = ({ errorCode, errorText, url }) => {
      errors.push(`${url}: ${errorCode} ${errorText}`)
    }
  }

  async function send(channel: RTCDataChannelLike, seed: number): Promise<number> {
    const next = stream(seed)
    let sent = 0
    const begin = Date.now()
    for (let i = 0; i < options.messages; i++) {
      const message = new Uint8Array(options.messageBytes)
      for (let at = 0; at < message.length; at++) message[at] = next()
      const due = begin + i * options.everyMs - Date.now()
      if (due > 0) await wait(due)
      while (channel.bufferedAmount > 262_144) await wait(5)
      channel.send(message)
      sent += message.length
    }
    return sent
  }

  function receive(channel: RTCDataChannelLike, seed: 1 | 2) {
    const next = stream(seed)
    const heard = { bytes: 0, exact: true, done: Promise.resolve() }
    heard.done = new Promise<void>((resolve) => {
      channel.onmessage = ({ data }) => {
        for (const byte of new Uint8Array(data)) if (byte !== next()) heard.exact = false
        heard.bytes += data.byteLength
        progress.heardBytes[seed - 1] = heard.bytes
        if (heard.bytes >= total) resolve()
      }
    })
    return heard
  }

  /** The type and the way to the server of the candidate that was chosen, where the statistics tell. */
  async function chosen(connection: RTCPeerConnectionLike) {
    const stats = new Map<unknown, Record<string, unknown>>()
    const report = await connection.getStats()
    report.forEach((stat) => {
      stats.set(stat.id, stat)
    })
    const all = [...stats.values()]
    const named = all.find(({ type }) => type === 'transport')?.selectedCandidatePairId
    const carrying = all.find(
      ({ type, state, nominated, selected }) =>
        type === 'candidate-pair' && (selected || (state === 'succeeded' && nominated)),
    )
    const local = stats.get((stats.get(named) ?? carrying)?.localCandidateId)
    return {
      candidateType: String(local?.candidateType ?? ''),
      relayProtocol: String(local?.relayProtocol ?? ''),
    }
  }

  async function run(): Promise<CallResult> {
    const [alice, bob] = pair
    let aliceDescribed = () => {}
    let bobDescribed = () => {}
    const described = [
      new Promise<void>((resolve) => {
        aliceDescribed = resolve
      }),
      new Promise<void>((resolve) => {
        bobDescribed = resolve
      }),
    ] as const
    trickle(alice, bob, described[1])
    trickle(bob, alice, described[0])
    const first = alice.createDataChannel('bytes')
    first.binaryType = 'arraybuffer'
    const opened = new Promise<void>((resolve) => {
      first.onopen = resolve
    })
    const fromBob = receive(first, 2)
    const arrived = new Promise<{ channel: RTCDataChannelLike; heard: ReturnType<typeof receive> }>(
      (resolve) => {
        bob.ondatachannel = ({ channel }) => {
          channel.binaryType = 'arraybuffer'
          const heard = receive(channel, 1)
          if (channel.readyState === 'open') resolve({ channel, heard })
          else channel.onopen = () => resolve({ channel, heard })
        }
      },
    )
    const offer = await alice.createOffer()
    await alice.setLocalDescription(offer)
    await bob.setRemoteDescription(offer)
    bobDescribed()
    const answer = await bob.createAnswer()
    await bob.setLocalDescription(answer)
    await alice.setRemoteDescription(answer)
    aliceDescribed()
    const [second] = await Promise.all([arrived, opened])
    connectedMs = Date.now() - start
    progress.step = 'talking'
    progress.waitingBytes = () => [first.bufferedAmount, second.channel.bufferedAmount]
    // One after the other where there is no pace: Chromium's second channel stalls now and then on a busy machine
    // when both ends send all they can, whichever server is between them.
    const sendings = [() => send(first, 1), () => send(second.channel, 2)]
    const sent: number[] = []
    if (options.everyMs > 0) sent.push(...(await Promise.all(sendings.map((sending) => sending()))))
    else {
      sent.push(await sendings[0]!())
      await second.heard.done
      sent.push(await sendings[1]!())
    }
    await Promise.all([fromBob.done, second.heard.done])
    progress.step = 'asking for statistics'
    const ways = await Promise.all([chosen(alice), chosen(bob)])
    const end = (i: 0 | 1, heard: { bytes: number; exact: boolean }): CallEnd => ({
      sentBytes: sent[i]!,
      receivedBytes: heard.bytes,
      exact: heard.exact,
      ...ways[i],
    })
    return { ends: [end(0, fromBob), end(1, second.heard)], connectedMs, relayCandidates, errors }
  }

  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const states = pair.map(({ connectionState }) => connectionState).join(' and ')
      const heard = `${progress.heardBytes.join(' and ')} of ${total} bytes heard`
      const waiting = `${progress.waitingBytes().join(' and ')} bytes wait to be sent`
      reject(
        new Error(
          `${progress.step} after ${options.timeoutMs} ms: ${states}; ${heard}; ${waiting}; ${errors.join('; ')}`,
        ),
      )
    }, options.timeoutMs)
  })
  try {
    return await Promise.race([run(), late])
  } finally {
    clearTimeout(timer)
    for (const connection of pair) connection.close()
  }
}
