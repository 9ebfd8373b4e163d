import type { TransportAddress } from '../../../stun/address.ts'
import { KEY_BYTES, writeAddress } from './layout.ts'

/** Keys of the hash maps: numbers of entries in the host's order, all else in the network's. */
export function clientKey(client: TransportAddress, listener: TransportAddress): Uint8Array {
  return make(KEY_BYTES.client, (view) => {
    writeAddress(view, 0, client)
    writeAddress(view, 16, listener)
    view.setUint16(32, client.port)
    view.setUint16(34, listener.port)
  })
}

export function relayKey(relay: TransportAddress): Uint8Array {
  return make(KEY_BYTES.relay, (view) => {
    writeAddress(view, 0, relay)
    view.setUint16(16, relay.port)
  })
}

export function peerKey(allocation: number, peer: TransportAddress): Uint8Array {
  return make(KEY_BYTES.peer, (view) => {
    view.setUint32(0, allocation, true)
    writeAddress(view, 4, peer)
  })
}

/** `client`: the key of the client. */
export function numberKey(client: Uint8Array, number: number): Uint8Array {
  return make(KEY_BYTES.number, (view, bytes) => {
    bytes.set(client)
    view.setUint16(KEY_BYTES.client, number)
  })
}

export function pairKey(relay: TransportAddress, peer: TransportAddress, peerPort: number): Uint8Array {
  return make(KEY_BYTES.pair, (view) => {
    writeAddress(view, 0, relay)
    writeAddress(view, 16, peer)
    view.setUint16(32, relay.port)
    view.setUint16(34, peerPort)
  })
}

function make(bytes: number, write: (view: DataView, key: Uint8Array) => void): Uint8Array {
  const key = new Uint8Array(bytes)
  write(new DataView(key.buffer), key)
  return key
}
