import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { literal } from '../../testing/setup.ts'
import { COOKIE_BYTES, HelloCookies } from './cookies.ts'

const MINUTE_MS = 60_000

describe('DTLS cookies (RFC 6347 §4.2.1)', () => {
  const client = literal('192.0.2.1', 4000)
  const hello = randomBytes(100)
  const random = 20
  const cookieAt = 60
  const offer = (cookies: HelloCookies, now: number, from = client) =>
    cookies.verify(from, hello, random, cookieAt, COOKIE_BYTES, now)

  it('are good for one address, port and ClientHello', () => {
    const cookies = new HelloCookies(0)
    hello.set(cookies.make(client, hello, random, 0), cookieAt)
    assert.ok(offer(cookies, 0))
    assert.equal(offer(cookies, 0, literal('192.0.2.1', 4001)), false)
    assert.equal(offer(cookies, 0, literal('192.0.2.2', 4000)), false)
    assert.equal(offer(cookies, 0, literal('2001:db8::1', 4000)), false)
    assert.equal(cookies.verify(client, hello, random + 1, cookieAt, COOKIE_BYTES, 0), false)
    assert.equal(cookies.verify(client, hello, random, cookieAt, COOKIE_BYTES - 1, 0), false)
    hello[cookieAt]! ^= 1
    assert.equal(offer(cookies, 0), false)
    assert.equal(offer(new HelloCookies(0), 0), false)
  })

  it('outlive one change of the secret, and no second one, however long nobody asked', () => {
    const cookies = new HelloCookies(0)
    hello.set(cookies.make(client, hello, random, MINUTE_MS - 1), cookieAt)
    assert.ok(offer(cookies, MINUTE_MS))
    assert.ok(offer(cookies, 2 * MINUTE_MS - 1))
    assert.equal(offer(cookies, 2 * MINUTE_MS), false)
    hello.set(cookies.make(client, hello, random, 2 * MINUTE_MS), cookieAt)
    assert.equal(offer(cookies, 10 * MINUTE_MS), false)
  })

  it('of every loop of the relay before are good, until the secret changes', () => {
    const before = [new HelloCookies(0), new HelloCookies(0)]
    const cookies = new HelloCookies(0)
    cookies.accept(before.map(({ secret }) => secret))
    for (const one of before) {
      hello.set(one.make(client, hello, random, 0), cookieAt)
      assert.ok(offer(cookies, 0))
    }
    assert.equal(offer(cookies, MINUTE_MS), false)
  })
})
