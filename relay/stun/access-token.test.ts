import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sealAccessToken } from '../../test/support/access-token.ts'
import { nodeCrypto } from '../io/node-crypto.ts'
import { readAccessToken, splitAccessToken } from './access-token.ts'

const text = (value: string) => new TextEncoder().encode(value)
const SERVER_NAME = 'blackdow.carleon.gov'
const LONG_TERM_KEY = text('HGkj32KJGiuy098sdfaqbNjOiaz71923')
const MAC_KEY = text('ZksjpweoixXmvn67534m')
const NONCE = text('h4j3k2l2n4b5')
/** 92470300704768 is this in units of 2^-16 seconds. */
const TIMESTAMP_SECONDS = 1_410_984_813

const SAMPLES: readonly [algorithm: string, key: Uint8Array, token: string][] = [
  [
    'AEAD_AES_256_GCM',
    LONG_TERM_KEY,
    '000c68346a336b326c326e346235617ef134a3d5e44e9a19cc7dc104b0c03d03b2a551d8fdf5cd3b6dca6f10cfb77e5b2ddec84d293a5c5049935 9f0c2e26f76',
  ],
  [
    'AEAD_AES_128_GCM',
    LONG_TERM_KEY.subarray(0, 16),
    '000c68346a336b326c326e3462357fb9e99f0827be3df1e1bd651493d3031d36df57079784aee5eacb65fad4f27fab1a3f97974b69f851b24bf5af09eda357e0',
  ],
]

function open(key: Uint8Array, token: Uint8Array, serverName = SERVER_NAME) {
  const split = splitAccessToken(token)
  const block = split && nodeCrypto.openAesGcm(key, split.nonce, text(serverName), split.sealed)
  return block && readAccessToken(block)
}

for (const [algorithm, key, hex] of SAMPLES) {
  const token = new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
  test(`RFC 7635 Appendix A: the sample of ${algorithm} opens`, () => {
    assert.deepEqual(open(key, token), {
      macKey: MAC_KEY,
      timestampSeconds: TIMESTAMP_SECONDS,
      lifetimeSeconds: 3600,
    })
    const parts = { key, serverName: SERVER_NAME, macKey: MAC_KEY, nonce: NONCE, lifetimeSeconds: 3600 }
    assert.deepEqual(sealAccessToken({ ...parts, timestampSeconds: TIMESTAMP_SECONDS }), token)
  })

  test(`RFC 7635 §6.2: the sample of ${algorithm} does not open for another server, or with one bit changed`, () => {
    assert.equal(open(key, token, 'elsewhere.carleon.gov'), undefined)
    for (let at = 2; at < token.length; at++) {
      const changed = token.slice()
      changed[at]! ^= 1
      assert.equal(open(key, changed), undefined, `byte ${at}`)
    }
  })
}

test('CVE-2026-43994: a token whose lengths cannot be is refused before it is opened', () => {
  const whole = new Uint8Array(Buffer.from(SAMPLES[0]![2].replaceAll(' ', ''), 'hex'))
  for (let bytes = 0; bytes < whole.length; bytes++) {
    assert.equal(splitAccessToken(whole.subarray(0, bytes)), undefined, `${bytes} bytes`)
  }
  const long = new Uint8Array(2 + 12 + 2 + 64 + 12 + 16 + 1)
  long[1] = 12
  assert.ok(splitAccessToken(long.subarray(0, -1)))
  assert.equal(splitAccessToken(long), undefined)
  for (const nonceBytes of [0, 11, 13, 255, 0x0c00, 0xffff]) {
    const other = whole.slice()
    new DataView(other.buffer).setUint16(0, nonceBytes)
    assert.equal(splitAccessToken(other), undefined, `a nonce of ${nonceBytes}`)
  }
})

test('CVE-2026-43994: a block whose key length is not that of its key is refused', () => {
  const parts = {
    key: LONG_TERM_KEY,
    serverName: SERVER_NAME,
    macKey: MAC_KEY,
    timestampSeconds: 1,
    lifetimeSeconds: 1,
  }
  for (const macKeyLength of [0, 19, 21, 64, 0xffff]) {
    assert.equal(open(LONG_TERM_KEY, sealAccessToken({ ...parts, macKeyLength })), undefined)
  }
  for (const bytes of [20, 32, 48, 64]) {
    const macKey = new Uint8Array(bytes).fill(7)
    assert.deepEqual(open(LONG_TERM_KEY, sealAccessToken({ ...parts, macKey }))?.macKey, macKey)
  }
})
