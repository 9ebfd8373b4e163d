/**
 * One call: a peer connection with "perfect negotiation" (W3C WebRTC 1.0 §10.7), so that both sides run the
 * same code and may change their tracks at any time. Fires `state`, `remote-stream`, `text` and `trouble`.
 */
export class Call extends EventTarget {
  #connection
  #channel
  #signal
  #polite
  #makingOffer = false
  #ignoreOffer = false

  constructor({ iceServers, polite, stream, signal }) {
    super()
    this.#signal = signal
    this.#polite = polite
    const connection = new RTCPeerConnection({ iceServers, bundlePolicy: 'max-bundle' })
    this.#connection = connection
    connection.onicecandidate = ({ candidate }) => signal({ candidate })
    connection.onicecandidateerror = ({ url, errorCode, errorText }) =>
      this.#fire('trouble', `${url}: ${errorCode} ${errorText}`)
    connection.onnegotiationneeded = () => this.#offer()
    connection.onconnectionstatechange = () => this.#fire('state', connection.connectionState)
    connection.ontrack = ({ streams }) => this.#fire('remote-stream', streams[0])
    // Negotiated on both sides with a fixed id: no side has to wait for the other one to open it.
    this.#channel = connection.createDataChannel('chat', { negotiated: true, id: 0 })
    this.#channel.onopen = () => this.#fire('open')
    this.#channel.onmessage = ({ data }) => this.#fire('text', String(data))
    for (const track of stream?.getTracks() ?? []) connection.addTrack(track, stream)
  }

  /** Takes what the other side signalled. */
  async receive({ description, candidate }) {
    const connection = this.#connection
    if (description) {
      const collision =
        description.type === 'offer' && (this.#makingOffer || connection.signalingState !== 'stable')
      this.#ignoreOffer = collision && !this.#polite
      if (this.#ignoreOffer) return
      await connection.setRemoteDescription(description)
      if (description.type === 'offer') {
        await connection.setLocalDescription()
        this.#signal({ description: connection.localDescription })
      }
    } else if (candidate) {
      try {
        await connection.addIceCandidate(candidate)
      } catch (error) {
        if (!this.#ignoreOffer) throw error
      }
    }
  }

  /** Tries again with other relays or fresh credentials; what works already goes on until the new path does. */
  restart(iceServers) {
    this.#connection.setConfiguration({ ...this.#connection.getConfiguration(), iceServers })
    this.#connection.restartIce()
  }

  /** Later gathering uses these; the running connection is not touched. */
  renew(iceServers) {
    this.#connection.setConfiguration({ ...this.#connection.getConfiguration(), iceServers })
  }

  send(text) {
    this.#channel.send(text)
  }

  close() {
    this.#connection.close()
  }

  /** The candidate pair in use and its counters, undefined before there is one. */
  async selectedPair() {
    const stats = await this.#connection.getStats()
    const all = [...stats.values()]
    const transport = all.find((entry) => entry.type === 'transport' && entry.selectedCandidatePairId)
    const pair = transport && stats.get(transport.selectedCandidatePairId)
    if (!pair) return undefined
    return {
      local: stats.get(pair.localCandidateId),
      remote: stats.get(pair.remoteCandidateId),
      bytesSent: pair.bytesSent,
      bytesReceived: pair.bytesReceived,
    }
  }

  async #offer() {
    try {
      this.#makingOffer = true
      await this.#connection.setLocalDescription()
      this.#signal({ description: this.#connection.localDescription })
    } catch (error) {
      this.#fire('trouble', String(error))
    } finally {
      this.#makingOffer = false
    }
  }

  #fire(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }))
  }
}
