import assert from 'node:assert/strict'
import {
  isDtls,
  RANDOM_BYTES,
  readClientHello,
  writeHelloVerify,
} from '../../../relay/io/linux/dtls/client-hello.ts'
import type { Target } from '../target.ts'

const COOKIE = new Uint8Array(20).fill(9)
const RECORD = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1]
/** Version, random, no session, no cookie, one cipher suite, no compression. */
const BODY = [0xfe, 0xfd, ...new Array(32).fill(5), 0, 0, 0, 2, 0xc0, 0x2b, 1, 0]

/** The first datagram of a DTLS client, which anybody can send: read within its bounds, and answered with less. */
export const hello: Target = {
  code: /\/relay\/io\/linux\/dtls\/client-hello/,
  seeds: [datagram(BODY), datagram([...BODY.slice(0, 35), 20, ...COOKIE, ...BODY.slice(36)]), [22], []].map(
    (numbers) => Uint8Array.from(numbers),
  ),
  dictionary: [RECORD, [1, 0, 0, 42], [0xfe, 0xff], [32], [20, ...COOKIE]].map((numbers) =>
    Uint8Array.from(numbers),
  ),
  run(message) {
    const inZeros = look(message, 0)
    assert.deepEqual(look(message, 0xff), inZeros, 'what lies beside a ClientHello changes how it is read')
  },
}

function look(message: Uint8Array, around: number) {
  const at = 64
  const buffer = new Uint8Array(message.length + 2 * at).fill(around)
  buffer.set(message, at)
  const before = buffer.slice()
  const dtls = isDtls(buffer, at, message.length)
  const found = readClientHello(buffer, at, message.length)
  assert.deepEqual(buffer, before, 'reading changed the buffer')
  if (!found) return { dtls }
  assert.ok(dtls, 'a ClientHello that is no DTLS')
  const end = at + message.length
  assert.ok(found.random >= at && found.random + RANDOM_BYTES <= end)
  assert.ok(found.cookie > found.random && found.cookie + found.cookieLength <= end)
  const answer = new Uint8Array(128)
  answer.set(message.subarray(0, 11))
  assert.ok(writeHelloVerify(answer, 64, 0, COOKIE) <= message.length, 'answered with more than was asked')
  return { dtls, ...found }
}

function datagram(body: readonly number[]): number[] {
  const length = [0, 0, body.length]
  return [...RECORD, 0, body.length + 12, 1, ...length, 0, 0, 0, 0, 0, ...length, ...body]
}
