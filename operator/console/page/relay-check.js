/**
 * Checks one TURN URL from this browser: two RTCPeerConnections of this page that may use relay candidates of
 * that URL only, a data channel between them, and an echo through it.
 */

const CONNECT_TIMEOUT_MS = 12_000
const ECHO_TIMEOUT_MS = 5000
const ECHOES = 5

/** `UDP`, `TCP` or `TLS`: how the browser reaches the relay through a TURN URL. */
export function transportOf(url) {
  if (url.startsWith('turns:')) return 'TLS'
  return /[?&]transport=tcp/i.test(url) ? 'TCP' : 'UDP'
}

/**
 * Runs the check; never rejects.
 * @param {{url: string, username: string, credential: string}} server
 * @param {string | undefined} certificateHint what is known of the relay's certificate, for the reader
 */
export async function checkUrl(server, certificateHint) {
  let attempt
  try {
    attempt = new Attempt(server)
  } catch (error) {
    return { ok: false, failure: `The browser does not take this URL: ${error.message}` }
  }
  try {
    const connectMs = await attempt.connect()
    const roundTripMs = await attempt.echo()
    return { ok: true, connectMs, roundTripMs }
  } catch {
    return { ok: false, failure: attempt.explain(certificateHint) }
  } finally {
    attempt.close()
  }
}

class Attempt {
  #server
  #errors = []
  #candidates = 0
  #gathered = 0
  #caller
  #callee
  #channel
  #settle = Promise.withResolvers()

  constructor(server) {
    this.#server = server
    this.#caller = this.#connection()
    this.#callee = this.#connection()
    this.#exchange(this.#caller, this.#callee)
    this.#exchange(this.#callee, this.#caller)
  }

  async connect() {
    const startedAtMs = performance.now()
    this.#callee.ondatachannel = ({ channel }) => {
      channel.onmessage = ({ data }) => channel.send(data)
    }
    this.#channel = this.#caller.createDataChannel('check')
    this.#channel.onopen = () => this.#settle.resolve()
    await this.#caller.setLocalDescription()
    await this.#callee.setRemoteDescription(this.#caller.localDescription)
    await this.#callee.setLocalDescription()
    await this.#caller.setRemoteDescription(this.#callee.localDescription)
    await within(this.#settle.promise, CONNECT_TIMEOUT_MS)
    return performance.now() - startedAtMs
  }

  /** The median of a few round trips through the relay, both connections' legs together. */
  async echo() {
    const times = []
    for (let i = 0; i < ECHOES; i++) {
      const back = Promise.withResolvers()
      this.#channel.onmessage = back.resolve
      const sentAtMs = performance.now()
      this.#channel.send(String(i))
      await within(back.promise, ECHO_TIMEOUT_MS)
      times.push(performance.now() - sentAtMs)
    }
    return times.sort((a, b) => a - b)[Math.floor(ECHOES / 2)]
  }

  close() {
    this.#caller.close()
    this.#callee.close()
  }

  explain(certificateHint) {
    const answered = this.#errors.find(({ code }) => code !== 701)
    if (answered) return answerInWords(answered)
    if (this.#candidates > 0) {
      return 'The relay gave out its ports, but no data came through them: look at its log, and whether its relay ports are open for UDP.'
    }
    return unreachableInWords(this.#server.url, this.#errors, certificateHint)
  }

  #connection() {
    const { url, username, credential } = this.#server
    return new RTCPeerConnection({
      iceServers: [{ urls: [url], username, credential }],
      iceTransportPolicy: 'relay',
    })
  }

  #exchange(from, to) {
    from.onicecandidate = ({ candidate }) => {
      if (!candidate) this.#gatheringEnded()
      else if (candidate.candidate) {
        this.#candidates++
        void to.addIceCandidate(candidate).catch(() => {})
      }
    }
    from.onicecandidateerror = ({ errorCode, errorText }) => {
      this.#errors.push({ code: errorCode, text: errorText })
    }
    from.oniceconnectionstatechange = () => {
      if (from.iceConnectionState === 'failed') this.#settle.reject(new Error('ICE failed'))
    }
  }

  /** When neither side got a relay candidate there is nothing to wait for. */
  #gatheringEnded() {
    this.#gathered++
    if (this.#gathered === 2 && this.#candidates === 0) this.#settle.reject(new Error('no candidate'))
  }
}

/** The relay answered with an error (RFC 8656 §18, RFC 8489 §14.8). */
function answerInWords({ code, text }) {
  const words = {
    300: 'The relay drains and names another one.',
    401: 'The relay does not accept the credential: its keys are not those that signed it, or the clocks differ by more than its lifetime.',
    403: 'The relay forbids this: its peer policy does not allow the address.',
    437: 'The relay still has an allocation of this port: run the check again.',
    438: 'The relay found the nonce stale: its nonce keys are not those of the rest of the fleet.',
    486: 'The quota of this user is used up: close other calls, or raise limits.allocationsPerUser.',
    508: 'The relay is full: let the fleet grow, or raise limits.allocationsPerRelay.',
  }
  return `${words[code] ?? 'The relay refused.'} (${code}${text ? ` ${text}` : ''})`
}

/** Code 701 or silence: the relay was not reached. */
function unreachableInWords(url, errors, certificateHint) {
  const port = /:(\d+)(?:\?|$)/.exec(url)?.[1] ?? 'of the relay'
  const told = errors.map(({ text }) => text).find((text) => text)
  const suffix = told ? ` (701 ${told})` : ''
  if (/lookup/i.test(told ?? ''))
    return `The host name does not resolve: ask its DNS, or wait until it is known.${suffix}`
  const transport = transportOf(url)
  if (transport === 'TLS') {
    if (certificateHint) return `${certificateHint}${suffix}`
    return `No TLS connection: TCP port ${port} is blocked, or the browser does not trust the relay's certificate, which it never asks about for turns:.${suffix}`
  }
  if (transport === 'TCP')
    return `No connection: TCP port ${port} is blocked on the way, or nothing listens there.${suffix}`
  return `No answer: UDP port ${port} is blocked on the way, which firewalls of companies often do, or nothing listens there.${suffix}`
}

function within(promise, timeoutMs) {
  const timeout = Promise.withResolvers()
  const timer = setTimeout(() => timeout.reject(new Error('timeout')), timeoutMs)
  return Promise.race([promise, timeout.promise]).finally(() => clearTimeout(timer))
}
