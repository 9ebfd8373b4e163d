import { ATTRIBUTE, TRANSPORT_PROTOCOL } from '../../relay/stun/attribute-types.ts'
import { CLASS, METHOD } from '../../relay/stun/methods.ts'
import {
  type Attribute,
  type Endpoint,
  encode,
  firstByte,
  longTermKey,
  uint32,
  xorAddress,
} from '../support/stun-message.ts'

/** Who a request says it is from. */
export interface Who {
  readonly username: string
  readonly password: string
  readonly realm: string
  readonly nonce: string
}

/** The messages of a browser's TURN client, attributes in its order. `captured.ts` holds them against real ones. */
export interface BrowserPackets {
  readonly name: string
  allocate(id: Uint8Array, who?: Who): Buffer
  /** `lifetimeSeconds` 0 deletes; absent: what the browser asks for to go on. */
  refresh(id: Uint8Array, who: Who, lifetimeSeconds?: number): Buffer
  createPermission(id: Uint8Array, who: Who, peer: Endpoint): Buffer
  channelBind(id: Uint8Array, who: Who, channel: number, peer: Endpoint): Buffer
  send(id: Uint8Array, peer: Endpoint, data: Uint8Array): Buffer
}

const UDP: Attribute = [ATTRIBUTE.RequestedTransport, firstByte(TRANSPORT_PROTOCOL.Udp)]
/** An identifier for logs that libwebrtc adds where a page asks for it. */
const LOGGING_ID: Attribute = [0xff05, Buffer.from('session-0017')]
/** What Firefox asks for. */
const FIREFOX_LIFETIME: Attribute = [ATTRIBUTE.Lifetime, uint32(3600)]

/** libwebrtc: no LIFETIME, no family, no FINGERPRINT, no SOFTWARE. */
export const LIBWEBRTC: BrowserPackets = libwebrtc('Chrome', [])
/** libwebrtc with the attribute 0xFF05 in its Allocates. */
export const LIBWEBRTC_WITH_LOGGING_ID: BrowserPackets = libwebrtc('Chrome with a logging id', [LOGGING_ID])
/** Safari's WebRTC is libwebrtc. */
export const SAFARI: BrowserPackets = libwebrtc('Safari', [])

/** nICEr: LIFETIME 3600, FINGERPRINT on all, and no channels. */
export const FIREFOX: BrowserPackets = {
  name: 'Firefox',
  allocate: (id, who) =>
    who
      ? request(METHOD.Allocate, id, who, [UDP, FIREFOX_LIFETIME], true)
      : encode({
          method: METHOD.Allocate,
          class: CLASS.Request,
          id,
          attributes: [UDP, FIREFOX_LIFETIME],
          fingerprint: true,
        }),
  refresh: (id, who, lifetimeSeconds = 3600) =>
    request(METHOD.Refresh, id, who, [[ATTRIBUTE.Lifetime, uint32(lifetimeSeconds)]], true),
  createPermission: (id, who, peer) => request(METHOD.CreatePermission, id, who, [peerOf(peer, id)], true),
  channelBind() {
    throw new Error('Firefox binds no channels')
  },
  send: (id, peer, data) =>
    encode({
      method: METHOD.Send,
      class: CLASS.Indication,
      id,
      attributes: [peerOf(peer, id), [ATTRIBUTE.Data, data]],
      fingerprint: true,
    }),
}

function libwebrtc(name: string, inAllocate: readonly Attribute[]): BrowserPackets {
  return {
    name,
    allocate: (id, who) =>
      who
        ? request(METHOD.Allocate, id, who, [UDP, ...inAllocate])
        : encode({ method: METHOD.Allocate, class: CLASS.Request, id, attributes: [UDP, ...inAllocate] }),
    refresh: (id, who, lifetimeSeconds) =>
      request(
        METHOD.Refresh,
        id,
        who,
        lifetimeSeconds === undefined ? [] : [[ATTRIBUTE.Lifetime, uint32(lifetimeSeconds)]],
      ),
    createPermission: (id, who, peer) => request(METHOD.CreatePermission, id, who, [peerOf(peer, id)]),
    channelBind: (id, who, channel, peer) =>
      request(METHOD.ChannelBind, id, who, [
        [ATTRIBUTE.ChannelNumber, uint32(channel * 65_536)],
        peerOf(peer, id),
      ]),
    send: (id, peer, data) =>
      encode({
        method: METHOD.Send,
        class: CLASS.Indication,
        id,
        attributes: [peerOf(peer, id), [ATTRIBUTE.Data, data]],
      }),
  }
}

function request(
  method: number,
  id: Uint8Array,
  { username, password, realm, nonce }: Who,
  attributes: readonly Attribute[],
  fingerprint = false,
): Buffer {
  return encode({
    method,
    class: CLASS.Request,
    id,
    attributes: [
      ...attributes,
      [ATTRIBUTE.Username, Buffer.from(username)],
      [ATTRIBUTE.Realm, Buffer.from(realm)],
      [ATTRIBUTE.Nonce, Buffer.from(nonce)],
    ],
    key: longTermKey(username, realm, password),
    fingerprint,
  })
}

function peerOf(peer: Endpoint, id: Uint8Array): Attribute {
  return [ATTRIBUTE.XorPeerAddress, xorAddress(peer, id)]
}
