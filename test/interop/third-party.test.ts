import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { after, before, describe, it } from 'node:test'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { StunReader } from '../../relay/stun/reader.ts'
import { loopbackConfig, RelayChild } from '../../relay/testing/relay-child.ts'
import { echoPair, uclient } from './uclient.ts'

/** The keys that uclient has in it, of which it takes the leading bytes; it draws one for each token. */
const UCLIENT_KEYS = [
  ['north', 'A256GCM', 'MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEK'],
  ['union', 'A128GCM', 'MTIzNDU2Nzg5MDEyMzQ1Ngo='],
  ['oldempire', 'A256GCM', 'MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIK'],
] as const
/** Enough for two of the three keys to be drawn, most of the time. */
const RUNS = 3
const KEY_BYTES = { A128GCM: 16, A256GCM: 32 } as const

function keys() {
  return UCLIENT_KEYS.map(([id, algorithm, text]) => {
    const key = Buffer.from(text, 'base64').subarray(0, KEY_BYTES[algorithm])
    return { id, algorithm, key: key.toString('base64') }
  })
}

/** Stands between clients and a server, over UDP, and writes down which attributes go by. */
class Tap {
  readonly asked = new Set<number>()
  readonly answered = new Set<number>()
  readonly #outside = dgram.createSocket('udp4')
  readonly #inside = new Map<number, dgram.Socket>()
  readonly #reader = new StunReader()

  async open(server: number): Promise<number> {
    this.#outside.on('message', (message, from) => {
      this.#note(message, this.asked)
      this.#insideFor(from.port).send(message, server, '127.0.0.1')
    })
    this.#outside.bind(0, '127.0.0.1')
    await once(this.#outside, 'listening')
    return this.#outside.address().port
  }

  close(): void {
    this.#outside.close()
    for (const socket of this.#inside.values()) socket.close()
  }

  #insideFor(client: number): dgram.Socket {
    const known = this.#inside.get(client)
    if (known) return known
    const socket = dgram.createSocket('udp4')
    socket.on('message', (message) => {
      this.#note(message, this.answered)
      this.#outside.send(message, client, '127.0.0.1')
    })
    this.#inside.set(client, socket)
    return socket
  }

  #note(message: Uint8Array, into: Set<number>): void {
    if (this.#reader.read(message, 0, message.length) !== 'ok') return
    for (let i = 0; i < this.#reader.attributeCount; i++) into.add(this.#reader.typeAt(i))
  }
}

describe('turnutils_uclient -J', { concurrency: RUNS }, () => {
  const child = new RelayChild()
  let server = 0

  before(async () => {
    child.writeConfig({
      ...loopbackConfig(),
      listeners: [{ protocol: 'udp', address: '127.0.0.1', port: 0 }],
      credentials: { thirdParty: { serverName: 'turn1.example.org', keys: keys() } },
    })
    child.spawn()
    server = (await child.ready()).listeners[0]!.port
  })
  after(() => child.stop())

  for (let run = 1; run <= RUNS; run++) {
    it(`RFC 7635: allocates by ACCESS-TOKEN, there being no user with a password, and every byte comes back, run ${run}`, async (t) => {
      const echo = await echoPair('127.0.0.1')
      const tap = new Tap()
      t.after(() => {
        echo.close()
        tap.close()
      })
      const port = await tap.open(server)
      const send = ['-s', '-n', '5', '-z', '5', '-e', '127.0.0.1', '-r', String(echo.port)]
      const result = await uclient([
        '-J',
        '-u',
        'nobody',
        '-w',
        'x',
        ...send,
        '-p',
        String(port),
        '127.0.0.1',
      ])
      assert.equal(result.code, 0, result.output)
      assert.ok(result.sentBytes > 0)
      assert.equal(result.receivedBytes, result.sentBytes, result.output)
      assert.ok(tap.answered.has(ATTRIBUTE.ThirdPartyAuthorization), 'the server is named')
      assert.ok(tap.asked.has(ATTRIBUTE.AccessToken), 'a token is shown')
    })
  }
})
