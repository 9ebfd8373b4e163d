/**
 * One call: a peer connection with "perfect negotiation" (W3C WebRTC 1.0 §10.7), so that both sides run the
 * same code and may change their tracks at any time. Fires `state`, `remote-stream`, `text` and `trouble`.
 */
export class Call extends EventTarget {
  #connection
  #channel
  #signal
  #polite
  #stream
  #makingOffer = false
  #ignoreOffer = false

  constructor({ iceServers, polite, stream, signal }) {
    super()
    this.#signal = signal
    this.#polite = polite
    this.#stream = stream
    const connection = new RTCPeerConnection({ iceServers, bundlePolicy: 'max-bundle' })
    this.#connection = connection
    connection.onicecandidate = ({ candidate }) => signal({ candidate })
    connection.onicecandidateerror = ({ url, errorCode, errorText }) =>
      this.#fire('trouble', `${url}: ${errorCode} ${errorText}`)
    connection.onnegotiationneeded = () => this.#offer()
    connection.onconnectionstatechange = () => this.#fire('state', connection.connectionState)
    connection.ontrack = ({ streams }) => this.#fire('remote-stream', streams[0])
    // The polite side begins with the other one's first offer: two offers at once would be gathered for in vain.
    if (!polite) this.#begin()
  }

  /** Takes what the other side signalled. */
  async receive({ description, candidate }) {
    if (description) await this.#takeDescription(description)
    else if (candidate) await this.#takeCandidate(candidate)
  }

  async #takeDescription(description) {
    const connection = this.#connection
    const offered = description.type === 'offer'
    const collision = offered && (this.#makingOffer || connection.signalingState !== 'stable')
    this.#ignoreOffer = collision && !this.#polite
    if (this.#ignoreOffer) return
    if (!this.#channel) this.#begin()
    await connection.setRemoteDescription(description)
    if (!offered) return
    await connection.setLocalDescription()
    this.#signal({ description: connection.localDescription })
  }

  async #takeCandidate(candidate) {
    try {
      await this.#connection.addIceCandidate(candidate)
    } catch (error) {
      if (!this.#ignoreOffer) throw error
    }
  }

  /** Tries again with other relays or fresh credentials; one side asks, the other follows. */
  restart(iceServers) {
    this.renew(iceServers)
    if (!this.#polite) this.#connection.restartIce()
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

  /** Adds what there is to send, which makes the browser ask for a negotiation. */
  #begin() {
    // Negotiated on both sides with a fixed id: no side has to wait for the other one to open it.
    this.#channel = this.#connection.createDataChannel('chat', { negotiated: true, id: 0 })
    this.#channel.onopen = () => this.#fire('open')
    this.#channel.onmessage = ({ data }) => this.#fire('text', String(data))
    for (const track of this.#stream?.getTracks() ?? []) this.#connection.addTrack(track, this.#stream)
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
